from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fer_lmdb.errors import ModelError
from fer_lmdb.evaluation import contamination
from fer_lmdb.labels import MERGED, WITHOUT_DISGUST, LabelScheme
from fer_lmdb.models import ensemble
from fer_lmdb.models import model as models
from fer_lmdb.models.classifier import Classifier

GENERATOR = np.random.default_rng(3)
LABELS = GENERATOR.integers(0, 4, 300)


def member(strength):
    """Probabilities that favour the truth by so much."""
    scores = GENERATOR.normal(size=(300, 4))
    scores[np.arange(300), LABELS] += strength
    return (np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)).astype(np.float32)


def log_loss(probabilities):
    return -np.log(probabilities[np.arange(300), LABELS]).mean()


def test_members_are_averaged_by_their_weights():
    pair = np.stack([member(1), member(2)])
    assert ensemble.average_probabilities(pair) == pytest.approx(pair.mean(axis=0))
    assert ensemble.average_probabilities(pair, [3, 1]) == pytest.approx(0.75 * pair[0] + 0.25 * pair[1], abs=1e-6)


@pytest.mark.parametrize("weights", [[1], [1, -1], [0, 0], [1, float("nan")]])
def test_weights_that_are_none_are_refused(weights):
    with pytest.raises(ModelError, match="expected 2 numbers"):
        ensemble.average_probabilities(np.stack([member(1), member(2)]), weights)


def test_fitted_weights_have_the_least_log_loss_of_all():
    members = np.stack([member(2), member(1.5), member(-1)])
    weights = ensemble.fit_weights(members, LABELS)
    assert sum(weights) == pytest.approx(1)
    assert weights[2] < 0.02  # one that is wrong on purpose gets no say
    least = log_loss(ensemble.average_probabilities(members, weights))
    for a in np.linspace(0, 1, 21):
        for b in np.linspace(0, 1 - a, 21):
            assert log_loss(ensemble.average_probabilities(members, [a, b, max(1 - a - b, 0)])) >= least - 1e-4


def test_a_member_that_has_diverged_is_told():
    broken = member(1)
    broken[7] = np.nan
    for ask in (ensemble.average_probabilities, lambda members: ensemble.fit_weights(members, LABELS)):
        with pytest.raises(ModelError, match=r"member 2 of the 2 models gives nan for 1 of 300 faces.*diverged"):
            ask(np.stack([member(1), broken]))
    with pytest.raises(ModelError, match=r"^the model gives nan"):
        ensemble.average_probabilities(broken[None])


def test_folders_of_models_and_of_runs_become_their_members(trained, tmp_path):
    (tmp_path / "kept").mkdir()
    for name in ("b", "a"):
        (tmp_path / "kept" / f"{name}.safetensors").touch()
    (tmp_path / "runs" / "one").mkdir(parents=True)
    (tmp_path / "runs" / "one" / "best.safetensors").touch()
    (tmp_path / "runs" / "other").mkdir()
    kept = tmp_path / "kept"
    assert ensemble.resolve_members([kept]) == [str(kept / "a.safetensors"), str(kept / "b.safetensors")]
    assert ensemble.resolve_members([tmp_path / "runs", "shipped"]) == [str(tmp_path / "runs" / "one"), "shipped"]
    assert ensemble.resolve_members([trained.run.path]) == [str(trained.run.path)]
    with pytest.raises(ModelError, match="no model"):
        ensemble.resolve_members([])


@pytest.mark.parametrize("scheme", [LabelScheme("other", tuple("gfedcba")), WITHOUT_DISGUST])
def test_members_of_other_schemes_are_refused_with_the_reason(trained, tmp_path, scheme):
    model = models.load_model(trained.run.path)
    replace(model, scheme=scheme).save(tmp_path / "other.safetensors")
    first = trained.run.best
    if scheme is WITHOUT_DISGUST:
        replace(model, scheme=MERGED).save(tmp_path / "first.safetensors")
        first = tmp_path / "first.safetensors"
    with pytest.raises(ModelError, match="cannot be averaged"):
        ensemble.load_ensemble([first, tmp_path / "other.safetensors"])


def test_the_nets_beside_the_package_answer_with_its_own():
    """The ensemble whose figure the README gives; two of its nets learnt from validation, and say so."""
    folder = Path(__file__).parents[3] / "data" / "models" / "fer_ensemble"
    names = ensemble.resolve_members(["face_emotion_net", "fer_conv12_wide", folder])
    members = ensemble.load_ensemble(names)
    face = np.full((1, 1, 48, 48), 128, np.uint8)
    votes = np.stack([Classifier(member).probabilities(face) for member in members])
    assert ensemble.average_probabilities(votes, [1, 2, 2, 2, 2, 2, 1]).sum() == pytest.approx(1)
    knowing = [
        Path(name).stem
        for name, member in zip(names, members, strict=True)
        if any("val" in splits for splits in contamination.training_splits(member.metadata).values())
    ]
    assert knowing == ["fer_conv12_wide-41", "fer_conv12_wide-42"]
