"""The report of a run: contents, and reasons of missing elements."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file

from fer_lmdb.errors import DataSetError, RunError, SourceError
from fer_lmdb.evaluation.evaluate import evaluate
from fer_lmdb.models.evaluation_log import append_evaluation
from fer_lmdb.models.run_folder import FIRST_BATCH
from fer_lmdb.reporting.elements import Missing, Text
from fer_lmdb.reporting.evaluation_section import top_errors
from fer_lmdb.reporting.network_section import filters, first_convolution, format_target, to_images
from fer_lmdb.reporting.report import Report, report
from fer_lmdb.reporting.run_data import RunData


@pytest.fixture(scope="module")
def run_data(trained) -> RunData:
    return RunData(trained.run, device="cpu")


@pytest.fixture(scope="module")
def full(trained) -> Report:
    return report(trained.run.path, device="cpu")


def missing_titles(found: Report) -> list[str]:
    return [title for titles in found.page.missing().values() for title in titles]


def fact(found: Report, name: str):
    return next(one for one in found.page.facts if one.name == name)


def test_all_elements(full) -> None:
    assert missing_titles(full) == []
    names = [element.name for element in full.page.elements() if hasattr(element, "name")]
    assert names == [
        *("loss", "accuracy", "rate", "confusion", "per-class", "calibration", "wrong-faces"),
        *("augmented-batch", "mean-face", "filters"),
        *("distribution-train", "distribution-val", "distribution-test", "samples"),
    ]
    assert [element.title for element in full.page.elements() if isinstance(element, Text)] == [
        "solver.prototxt",
        "train_val.prototxt",
    ]


def test_metrics_equal_those_of_evaluate(full, trained, stripes_data, tmp_path) -> None:
    copy = shutil.copytree(trained.run.path, tmp_path / "run")  # evaluate appends to the log
    expected = evaluate(copy, stripes_data, "val", device="cpu").to_dict()
    assert full.page.summary["metrics"]["split"] == "val"
    for key in ("n", "accuracy", "ci95", "confusion", "ece"):
        assert full.page.summary["metrics"][key] == expected[key]
    low, high = expected["ci95"]
    assert fact(full, "Validation accuracy").value == f"{expected['accuracy']:.2%}"
    assert f"{low:.1%} to {high:.1%}, N = 40, no TTA" in fact(full, "Validation accuracy").note
    assert fact(full, "Epochs").value == "3 of 3"
    assert next(iter(full.page.elements())).caption == "3 epochs; train N = 150, validation N = 40, seed 0."
    assert fact(full, "Epochs").note.startswith("finished")


def test_test_split_is_not_read(trained, stripes_data, tmp_path) -> None:
    data = shutil.copytree(stripes_data, tmp_path / "data")
    shutil.rmtree(data / "test_lmdb")
    found = report(trained.run.path, data=data, device="cpu")
    assert missing_titles(found) == []
    assert found.page.summary["test"] is None
    assert not any("Test" in one.name for one in found.page.facts)


def test_recorded_test_result_is_quoted(copied) -> None:
    folder = copied()
    record = {
        "models": ["runs/x"],
        "accuracy": 0.5,
        "ci95": [0.4, 0.6],
        "n": 30,
        "tta": 10,
        "data": "data/x",
        "split": "test",
    }
    rest = {"classes": ["a"], "macro_f1": 0.5, "ece": 0.1, "per_class": {}, "confusion": []}
    append_evaluation(folder, record | rest)
    found = report(folder.path, device="cpu")
    assert fact(found, "Test accuracy").value == "50.00%"
    assert "recorded by fer-lmdb evaluate on data/x, not evaluated" in fact(found, "Test accuracy").note
    assert "10 TTA views" in fact(found, "Test accuracy").note
    assert found.page.summary["test"]["n"] == 30


def test_augmented_batch(trained, full) -> None:
    shown = next(element for element in full.page.elements() if getattr(element, "name", "") == "augmented-batch")
    faces = load_file(trained.run.path / FIRST_BATCH)["faces"]
    tiles = shown.groups[0].tiles
    assert len(tiles) == 24
    np.testing.assert_array_equal(tiles[3].image, to_images(faces)[3])
    assert [tile.lines for tile in tiles[:3]] == [("angry",), ("disgust",), ("fear",)]


def test_runs_without_a_saved_first_batch(copied) -> None:
    folder = copied()
    (folder.path / FIRST_BATCH).unlink()
    found = report(folder.path, device="cpu")
    ((reason, titles),) = found.page.missing().items()
    assert titles == ["Augmented batch"]
    assert reason == "the first batch was not saved: the run was trained with an older version of fer-lmdb"


def test_damaged_first_batch(copied) -> None:
    folder = copied()
    (folder.path / FIRST_BATCH).write_bytes(b"damaged")
    (reason,) = report(folder.path, device="cpu").page.missing()
    assert f"{FIRST_BATCH}: damaged" in reason


def test_filters_are_scaled_to_their_largest_weight(run_data) -> None:
    name, weights = first_convolution(run_data.model)
    tiles = filters(run_data.model).groups[0].tiles
    assert (name, len(tiles)) == ("conv1", len(weights))
    for tile, weight in zip(tiles, weights[:, 0], strict=True):
        position = np.unravel_index(np.abs(weight).argmax(), weight.shape)
        assert tile.image[position] == (255 if weight[position] > 0 else 0)
        assert ((tile.image > 128) == (weight * 127.5 / np.abs(weight).max() > 1)).mean() > 0.9


def test_captions_of_labels() -> None:
    assert format_target(np.array(1), ("sad", "happy", "fear")) == ("happy",)
    assert format_target(np.array([0, 0.7, 0.3]), ("sad", "happy", "fear")) == ("happy 70%", "fear 30%")
    assert format_target(np.array([0.04, 0.92, 0.04]), ("sad", "happy", "fear")) == ("happy",)


def test_top_errors_by_confidence(run_data) -> None:
    validation = run_data.validation
    probabilities = np.roll(validation.probabilities, 1, axis=1)  # a model that is mostly wrong
    odd = type(validation)(validation.faces, probabilities, validation.metrics)
    tiles = top_errors(odd, run_data.model.scheme.classes).groups[0].tiles
    assert len(tiles) > 5
    assert all(tile.lines[0] != tile.lines[1].split()[1] for tile in tiles)
    confidences = [int(tile.lines[1].split()[2].rstrip("%")) for tile in tiles]
    assert confidences == sorted(confidences, reverse=True)
    names = [key.rpartition("/")[2] for key in validation.faces.keys]
    assert tiles[0].lines[2] in names
    position = names.index(tiles[0].lines[2])
    np.testing.assert_array_equal(tiles[0].image, validation.faces.images[position, 0])


def test_run_without_its_data_set(copied) -> None:
    found = report(copied(data="data/gone").path, device="cpu")
    ((reason, titles),) = found.page.missing().items()
    assert "data/gone was not found; set its location with --data" in reason
    assert titles == [
        *("Confusion matrix", "Per class", "Calibration", "Most confident errors"),
        *("Distribution", "Samples per class"),
    ]
    assert fact(found, "Validation accuracy").value == "not available"


def test_recorded_evaluation_replaces_a_missing_one(copied, trained, stripes_data, tmp_path) -> None:
    recorded = evaluate([shutil.copytree(trained.run.path, tmp_path / "other")], stripes_data, device="cpu")
    folder = copied(data="data/gone")
    append_evaluation(folder, recorded.to_dict())
    found = report(folder.path, device="cpu")
    assert "Confusion matrix" not in missing_titles(found)
    assert "Calibration" in missing_titles(found)
    assert f"recorded by fer-lmdb evaluate on {stripes_data}" in fact(found, "Validation accuracy").note


def test_other_data_set_is_rejected(copied, drawn_data) -> None:
    folder = copied(data=str(drawn_data))
    found = report(folder.path, device="cpu")
    assert any("not the data set this run was trained on" in reason for reason in found.page.missing())
    with pytest.raises(DataSetError, match="not the data set this run was trained on"):
        report(folder.path, data=drawn_data)


def test_run_moved_together_with_its_data_set(copied, stripes_data, tmp_path) -> None:
    folder = copied(data="data/stripes")
    moved = tmp_path / "elsewhere" / "runs" / "one"
    shutil.copytree(folder.path, moved)
    shutil.copytree(stripes_data, tmp_path / "elsewhere" / "data" / "stripes")
    run_data = RunData(type(folder)(moved))
    assert run_data.data_set.folder == tmp_path / "elsewhere" / "data" / "stripes"


def test_run_trained_on_validation_is_not_evaluated_on_it(copied) -> None:
    folder = copied(train_splits="train+val")
    evaluate(folder, RunData(folder).data_set, "val")
    found = report(folder.path, device="cpu")
    (reason,) = found.page.missing()
    assert "trained on the validation split, so metrics" in reason
    assert fact(found, "Validation accuracy").value == "not available"
    with pytest.raises(StopIteration):
        fact(found, "Validated on")


def test_run_without_a_finished_epoch(copied) -> None:
    folder = copied()
    for path in (folder.log, folder.best, folder.last):
        path.unlink()
    found = report(folder.path, device="cpu")
    reasons = found.page.missing()
    assert reasons["no epoch of this run has finished"] == ["Loss", "Accuracy", "Learning rate"]
    assert "Augmented batch" not in missing_titles(found)
    assert fact(found, "Epochs").value == "none"


def test_unfinished_run(copied) -> None:
    folder = copied()
    folder.write_log(folder.read_log()[:2])
    found = report(folder.path, device="cpu")
    assert fact(found, "Epochs").value == "2 of 3"
    assert fact(found, "Epochs").note.startswith("not finished")


@pytest.mark.parametrize("text", ["{", '{"epoch": 1}\n', "[]\n"])
def test_damaged_log(copied, text: str) -> None:
    folder = copied()
    folder.log.write_text(text)
    reasons = report(folder.path, device="cpu").page.missing()
    assert any("log.jsonl:1: damaged: " in reason for reason in reasons)


@pytest.mark.parametrize("config", [[], {}, {"options": 3, "epoch_size": 1, "data": {}}])
def test_damaged_run_json(tmp_path, config) -> None:
    (tmp_path / "run.json").write_text(json.dumps(config))
    with pytest.raises(RunError, match=r"run\.json: damaged"):
        report(tmp_path)


def test_path_that_is_neither_run_nor_data_set(tmp_path) -> None:
    with pytest.raises(SourceError, match="neither a run"):
        report(tmp_path / "nothing")


def test_missing_elements_keep_their_position(copied) -> None:
    found = report(copied(data="data/gone").path, device="cpu")
    validation = next(section for section in found.page.sections if section.title == "Validation")
    assert all(isinstance(element, Missing) for element in validation.elements)
