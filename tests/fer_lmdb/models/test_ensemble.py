from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fer_lmdb.errors import ModelError
from fer_lmdb.labels import MERGED, WITHOUT_DISGUST, LabelScheme
from fer_lmdb.models import ensemble
from fer_lmdb.models.registry import load_model, resolve_members

GENERATOR = np.random.default_rng(3)
LABELS = GENERATOR.integers(0, 4, 300)


def member(strength):
    """Return probabilities whose logits favor the true class by `strength`."""
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
def test_invalid_weights_are_rejected(weights):
    with pytest.raises(ModelError, match="expected 2 numbers"):
        ensemble.average_probabilities(np.stack([member(1), member(2)]), weights)


def test_fitted_weights_minimize_the_log_loss():
    members = np.stack([member(2), member(1.5), member(-1)])
    weights = ensemble.fit_weights(members, LABELS)
    assert sum(weights) == pytest.approx(1)
    assert weights[2] < 0.02  # wrong on purpose
    least = log_loss(ensemble.average_probabilities(members, weights))
    for a in np.linspace(0, 1, 21):
        for b in np.linspace(0, 1 - a, 21):
            assert log_loss(ensemble.average_probabilities(members, [a, b, max(1 - a - b, 0)])) >= least - 1e-4


def test_folders_of_models_and_of_runs_are_expanded(trained, tmp_path):
    (tmp_path / "checkpoints").mkdir()
    for name in ("b", "a"):
        (tmp_path / "checkpoints" / f"{name}.safetensors").touch()
    (tmp_path / "runs" / "one").mkdir(parents=True)
    (tmp_path / "runs" / "one" / "best.safetensors").touch()
    (tmp_path / "runs" / "other").mkdir()
    folder = tmp_path / "checkpoints"
    assert resolve_members([folder]) == [str(folder / "a.safetensors"), str(folder / "b.safetensors")]
    assert resolve_members([tmp_path / "runs", "shipped"]) == [str(tmp_path / "runs" / "one"), "shipped"]
    assert resolve_members([trained.run.path]) == [str(trained.run.path)]
    with pytest.raises(ModelError, match="no model"):
        resolve_members([])


@pytest.mark.parametrize("scheme", [LabelScheme("other", tuple("gfedcba")), WITHOUT_DISGUST])
def test_members_with_different_label_schemes_are_rejected(trained, tmp_path, scheme):
    model = load_model(trained.run.path)
    replace(model, scheme=scheme).save(tmp_path / "other.safetensors")
    first = trained.run.best
    if scheme is WITHOUT_DISGUST:
        replace(model, scheme=MERGED).save(tmp_path / "first.safetensors")
        first = tmp_path / "first.safetensors"
    with pytest.raises(ModelError, match="cannot be averaged"):
        ensemble.load_ensemble([first, tmp_path / "other.safetensors"])
