"""The report of a run: what it shows, and what it says where something is missing."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from fer_lmdb import reporting
from fer_lmdb.data.dataset import DataSet
from fer_lmdb.errors import DataSetError, RunError, SourceError
from fer_lmdb.evaluation.evaluate import evaluate
from fer_lmdb.models.evaluation_log import append_evaluation
from fer_lmdb.reporting import evaluation_section, network_section
from fer_lmdb.reporting.elements import Missing, Report, Text
from fer_lmdb.reporting.run_data import RunData
from fer_lmdb.training.trainer import Trainer


@pytest.fixture(scope="module")
def material(trained) -> RunData:
    return RunData(trained.run, device="cpu")


@pytest.fixture(scope="module")
def whole(trained) -> Report:
    return reporting.report(trained.run.path, device="cpu")


def missing_titles(found: Report) -> list[str]:
    return [title for titles in found.missing().values() for title in titles]


def fact(found: Report, name: str):
    return next(one for one in found.facts if one.name == name)


def test_everything_is_shown(whole) -> None:
    assert missing_titles(whole) == []
    names = [part.name for part in whole.parts() if hasattr(part, "name")]
    assert names == [
        *("loss", "accuracy", "rate", "confusion", "per-class", "calibration", "wrong-faces"),
        *("augmented-batch", "mean-face", "filters"),
        *("distribution-train", "distribution-val", "distribution-test", "samples"),
    ]
    assert [part.title for part in whole.parts() if isinstance(part, Text)] == ["solver.prototxt", "train_val.prototxt"]


def test_the_figures_are_those_of_evaluate_on_validation(whole, trained, stripes_data, tmp_path) -> None:
    copy = shutil.copytree(trained.run.path, tmp_path / "run")  # evaluate adds to the record
    expected = evaluate([copy], stripes_data, "val", device="cpu").to_dict()
    assert whole.figures["figures"]["split"] == "val"
    for key in ("n", "accuracy", "ci95", "confusion", "ece"):
        assert whole.figures["figures"][key] == expected[key]
    low, high = expected["ci95"]
    assert fact(whole, "Accuracy on validation").value == f"{expected['accuracy']:.2%}"
    assert f"{low:.1%} to {high:.1%}, N = 40, one view" in fact(whole, "Accuracy on validation").note
    assert fact(whole, "Epochs").value == "3 of 3"
    assert next(iter(whole.parts())).caption == "3 epochs; train N = 150, validation N = 40, seed 0."
    assert fact(whole, "Epochs").note.startswith("finished")


def test_the_test_split_is_never_read(trained, stripes_data, tmp_path) -> None:
    data = shutil.copytree(stripes_data, tmp_path / "data")
    shutil.rmtree(data / "test_lmdb")
    found = reporting.report(trained.run.path, data=data, device="cpu")
    assert missing_titles(found) == []
    assert found.figures["test"] is None
    assert not any("on test" in one.name for one in found.facts)


def test_a_test_figure_that_was_recorded_is_quoted(copied) -> None:
    folder = copied()
    figures = {
        "models": ["runs/x"],
        "accuracy": 0.5,
        "ci95": [0.4, 0.6],
        "n": 30,
        "tta": 10,
        "data": "data/x",
        "split": "test",
    }
    rest = {"classes": [], "macro_f1": 0.5, "ece": 0.1, "per_class": {}, "confusion": []}
    append_evaluation(folder, figures | rest)
    found = reporting.report(folder.path, device="cpu")
    assert fact(found, "Accuracy on test").value == "50.00%"
    assert "quoted from the run's record, on data/x" in fact(found, "Accuracy on test").note
    assert "10 views" in fact(found, "Accuracy on test").note
    assert found.figures["test"]["n"] == 30


def test_the_augmented_batch_is_the_one_that_the_training_began_with(material, trained, tmp_path) -> None:
    session = Trainer(material.plan, DataSet.open(material.data_set.folder), type(trained.run)(tmp_path))
    faces, _ = session.step()
    shown, targets = network_section.first_batch(material)
    np.testing.assert_array_equal(shown, faces[: len(shown)].cpu().numpy())
    assert targets.sum(axis=1).tolist() == [1] * len(shown)


def test_filters_are_scaled_to_their_largest_weight(material) -> None:
    name, weights = network_section.first_convolution(material.model)
    tiles = network_section.filters(material.model).groups[0].tiles
    assert (name, len(tiles)) == ("conv1", len(weights))
    for tile, weight in zip(tiles, weights[:, 0], strict=True):
        place = np.unravel_index(np.abs(weight).argmax(), weight.shape)
        assert tile.image[place] == (255 if weight[place] > 0 else 0)
        assert ((tile.image > 128) == (weight * 127.5 / np.abs(weight).max() > 1)).mean() > 0.9


def test_a_mixed_label_names_both_classes() -> None:
    assert network_section.caption_of(np.array([0, 0.7, 0.3]), ("sad", "happy", "fear")) == ("happy 70%", "fear 30%")
    assert network_section.caption_of(np.array([0.04, 0.92, 0.04]), ("sad", "happy", "fear")) == ("happy",)


def test_the_errors_shown_are_errors_the_surest_first(material) -> None:
    validation = material.validation
    probabilities = np.roll(validation.probabilities, 1, axis=1)  # a model that is mostly wrong
    odd = type(validation)(validation.faces, probabilities, validation.figures)
    tiles = evaluation_section.top_errors(odd, material.model.scheme.classes).groups[0].tiles
    assert len(tiles) > 5
    assert all(tile.lines[0] != tile.lines[1].split()[1] for tile in tiles)
    confidences = [int(tile.lines[1].split()[2].rstrip("%")) for tile in tiles]
    assert confidences == sorted(confidences, reverse=True)
    names = [key.rpartition("/")[2] for key in validation.faces.keys]
    assert tiles[0].lines[2] in names
    position = names.index(tiles[0].lines[2])
    np.testing.assert_array_equal(tiles[0].image, validation.faces.images[position, 0])


def test_without_its_data_set_a_run_shows_what_it_has_and_says_why_the_rest_is_missing(copied) -> None:
    found = reporting.report(copied(data="data/gone").path, device="cpu")
    ((reason, titles),) = found.missing().items()
    assert "data/gone is not here; say with --data" in reason
    assert titles == [
        *("Confusion matrix", "Per class", "Calibration", "Most confident errors"),
        *("An augmented batch", "Distribution", "Samples of every class"),
    ]
    assert fact(found, "Accuracy on validation").value == "not measured"


def test_recorded_figures_stand_in_for_measured_ones(copied, trained, stripes_data, tmp_path) -> None:
    recorded = evaluate([shutil.copytree(trained.run.path, tmp_path / "other")], stripes_data, device="cpu")
    folder = copied(data="data/gone")
    append_evaluation(folder, recorded.to_dict())
    found = reporting.report(folder.path, device="cpu")
    assert "Confusion matrix" not in missing_titles(found)
    assert "Calibration" in missing_titles(found)
    assert f"as fer-lmdb evaluate recorded it on {stripes_data}" in fact(found, "Accuracy on validation").note


def test_another_data_set_is_refused(copied, drawn_data) -> None:
    folder = copied(data=str(drawn_data))
    found = reporting.report(folder.path, device="cpu")
    assert any("not the data set this run was trained on" in reason for reason in found.missing())
    with pytest.raises(DataSetError, match="not the data set this run was trained on"):
        reporting.report(folder.path, data=drawn_data)


def test_a_run_that_moved_with_its_data_set_finds_it(copied, stripes_data, tmp_path) -> None:
    folder = copied(data="data/stripes")
    moved = tmp_path / "elsewhere" / "runs" / "one"
    shutil.copytree(folder.path, moved)
    shutil.copytree(stripes_data, tmp_path / "elsewhere" / "data" / "stripes")
    material = RunData(type(folder)(moved))
    assert material.data_set.folder == tmp_path / "elsewhere" / "data" / "stripes"


def test_a_run_that_trained_on_validation_is_not_measured_on_it(copied) -> None:
    folder = copied(train_splits="train+val")
    evaluate(folder, RunData(folder).data_set, "val")
    found = reporting.report(folder.path, device="cpu")
    (reason,) = found.missing()
    assert "trained on the validation split as well" in reason
    assert fact(found, "Accuracy on validation").value == "not measured"
    with pytest.raises(StopIteration):
        fact(found, "Validated on")


def test_a_run_without_a_finished_epoch_shows_its_data_and_recipe(copied) -> None:
    folder = copied()
    for path in (folder.log, folder.best, folder.last):
        path.unlink()
    found = reporting.report(folder.path, device="cpu")
    reasons = found.missing()
    assert reasons["no epoch of this run has ended yet"] == ["Loss", "Accuracy", "Learning rate"]
    assert "An augmented batch" not in missing_titles(found)
    assert fact(found, "Epochs").value == "none"


def test_an_unfinished_run_says_so(copied) -> None:
    folder = copied()
    folder.write_log(folder.read_log()[:2])
    found = reporting.report(folder.path, device="cpu")
    assert fact(found, "Epochs").value == "2 of 3"
    assert fact(found, "Epochs").note.startswith("not finished")


@pytest.mark.parametrize("text", ["{", '{"epoch": 1}\n', "[]\n"])
def test_a_damaged_log_is_named(copied, text: str) -> None:
    folder = copied()
    folder.log.write_text(text)
    reasons = reporting.report(folder.path, device="cpu").missing()
    assert any("log.jsonl: damaged" in reason for reason in reasons)


@pytest.mark.parametrize("config", [[], {}, {"options": 3, "epoch_size": 1, "data": {}}])
def test_a_damaged_run_json_is_one_clear_line(tmp_path, config) -> None:
    (tmp_path / "run.json").write_text(json.dumps(config))
    with pytest.raises(RunError, match=r"run\.json: damaged"):
        reporting.report(tmp_path)


def test_what_is_neither_run_nor_data_set_is_refused(tmp_path) -> None:
    with pytest.raises(SourceError, match="neither a run"):
        reporting.report(tmp_path / "nothing")


def test_missing_parts_keep_their_place(copied) -> None:
    found = reporting.report(copied(data="data/gone").path, device="cpu")
    validation = next(section for section in found.sections if section.title == "Validation")
    assert all(isinstance(part, Missing) for part in validation.parts)
