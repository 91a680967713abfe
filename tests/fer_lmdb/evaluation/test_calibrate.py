"""`calibrate`: from the validation split to the model file, and what evaluate says of it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import fer_lmdb as fer
from fer_lmdb.cli import main
from fer_lmdb.errors import ModelError
from fer_lmdb.models.registry import load_model


@pytest.fixture
def model_file(trained, tmp_path) -> Path:
    return Path(shutil.copy(trained.run.best, tmp_path / "model.safetensors"))


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as exit_:
        main(list(words))
    return exit_.value.code


def test_the_temperature_is_stored_and_lowers_the_log_loss(model_file, stripes_data) -> None:
    before = fer.evaluate(model_file, stripes_data)
    found = fer.calibrate(model_file, stripes_data, device="cpu")
    assert (found.file, found.split, found.n) == (model_file, "val", 40)
    after = fer.evaluate(model_file, stripes_data)
    assert after.log_loss == pytest.approx(found.calibrated["log_loss"], rel=1e-5)
    assert after.log_loss < before.log_loss
    assert after.temperature == found.temperature == load_model(model_file).metadata.temperature
    assert after.uncalibrated == {"log_loss": before.log_loss, "ece": before.ece}
    np.testing.assert_array_equal(after.probabilities.argmax(axis=1), before.probabilities.argmax(axis=1))
    assert fer.evaluate(model_file, stripes_data, ensemble_temperature=1).to_dict() == before.to_dict()


def test_weights_stay_bit_identical_and_a_second_calibration_finds_the_same(model_file, trained, stripes_data) -> None:
    first = fer.calibrate(model_file, stripes_data, device="cpu")
    assert fer.calibrate(model_file, stripes_data, device="cpu") == first
    original, calibrated = load_model(trained.run.best), load_model(model_file)
    assert all((original.weights[key] == blob).all() for key, blob in calibrated.weights.items())
    stored = calibrated.metadata.calibration
    assert set(stored) == {
        "temperature", "split", "n", "data_sha256", "tta", "accuracy", "uncalibrated", "calibrated",
    }  # fmt: skip


def test_a_model_object_and_an_ensemble_only_report(model_file, trained, stripes_data, tmp_path) -> None:
    assert fer.calibrate(load_model(model_file), stripes_data, device="cpu").file is None
    both = fer.calibrate([model_file, trained.run.last], stripes_data, device="cpu", ensemble_weights=[1, 2])
    assert (both.file, both.ensemble_weights) == (None, [1, 2])
    result = fer.evaluate(
        [model_file, trained.run.last],
        stripes_data,
        ensemble_weights=[1, 2],
        ensemble_temperature=both.temperature,
        log=False,
    )
    assert result.log_loss == pytest.approx(both.calibrated["log_loss"], rel=1e-5)
    with pytest.raises(ModelError, match="the temperature of an ensemble is not stored in a file"):
        fer.calibrate([model_file, trained.run.last], stripes_data, out=tmp_path / "x.safetensors")


def test_a_pretrained_model_needs_out(stripes_data, tmp_path) -> None:
    with pytest.raises(ModelError, match="fer_mini is a pretrained model of the package; set --out"):
        fer.calibrate("fer_mini", stripes_data)
    assert (
        fer.calibrate("fer_mini", stripes_data, out=tmp_path / "own.safetensors").file == tmp_path / "own.safetensors"
    )
    assert load_model(tmp_path / "own.safetensors").metadata.calibration["n"] == 40


def test_a_model_trained_on_validation_is_rejected(model_file, stripes_data) -> None:
    model = load_model(model_file)
    options = {**model.metadata.options, "train_splits": "train+val"}
    values = {**model.metadata.to_dict(), "recipe": {**model.metadata.recipe, "options": options}}
    replace(model, metadata=type(model.metadata)(values)).save(model_file)
    with pytest.raises(ModelError, match=r"was trained on val, so a temperature fitted on it would be biased"):
        fer.calibrate(model_file, stripes_data)


def test_the_recognizer_returns_calibrated_probabilities(model_file, stripes_data) -> None:
    image = fer.DataSet.open(stripes_data).read("val").images[0, 0]
    (before,) = fer.Recognizer(model_file, detector="none", device="cpu").predict(image)
    temperature = fer.calibrate(model_file, stripes_data, device="cpu").temperature
    (after,) = fer.Recognizer(model_file, detector="none", device="cpu").predict(image)
    powers = np.array(list(before.probabilities.values())) ** (1 / temperature)
    np.testing.assert_allclose(list(after.probabilities.values()), powers / powers.sum(), atol=1e-5)
    assert after.expression == before.expression
    (as_trained,) = fer.Recognizer(model_file, detector="none", device="cpu", ensemble_temperature=1).predict(image)
    assert as_trained.probabilities == before.probabilities


def test_the_command_prints_before_and_after_and_the_next_step(model_file, stripes_data, capsys) -> None:
    assert run("calibrate", str(model_file), "--data", str(stripes_data), "--device", "cpu") == 0
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert lines[1].startswith("temperature ")
    assert lines[2].startswith("log-loss ")
    assert lines[3].startswith("calibration error ")
    assert lines[4] == f"Stored in {model_file}"
    assert "Next: fer-lmdb evaluate" in printed.err
    assert run("evaluate", str(model_file), "--data", str(stripes_data), "--device", "cpu") == 0
    assert "calibrated with temperature" in capsys.readouterr().out
    assert run("calibrate", str(model_file), "--data", str(stripes_data), "--json", "-q") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["file"] == str(model_file)


def test_the_command_names_the_option_for_an_ensemble(model_file, trained, stripes_data, capsys) -> None:
    assert run("calibrate", str(model_file), str(trained.run.last), "--data", str(stripes_data)) == 0
    assert "Next: pass --ensemble-temperature " in capsys.readouterr().err
