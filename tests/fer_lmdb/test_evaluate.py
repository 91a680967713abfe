from __future__ import annotations

import json

import numpy as np
import pytest

from fer_lmdb import models
from fer_lmdb.cli import main
from fer_lmdb.dataset import DataSet
from fer_lmdb.errors import DataSetError, ModelError
from fer_lmdb.evaluate import evaluate
from fer_lmdb.labels import LabelScheme


def test_the_figure_is_the_one_that_training_logged(trained, stripes_data):
    figures = evaluate([trained.run.path], stripes_data, "val")
    assert figures["n"] == 40
    assert figures["accuracy"] == pytest.approx(trained.best["val_accuracy"])
    assert figures["log_loss"] == pytest.approx(trained.best["val_loss"], rel=1e-5)
    assert figures["ci95"][0] < figures["accuracy"] <= figures["ci95"][1]
    assert (figures["split"], figures["tta"], len(figures["classes"])) == ("val", 1, 7)


def test_an_ensemble_averages_probabilities(trained, stripes_data):
    faces = DataSet.open(stripes_data).read("test")
    members = [models.load(trained.run.best), models.load(trained.run.last)]
    mean = np.mean([member.classifier().probabilities(faces.images) for member in members], axis=0)
    figures = evaluate([trained.run.best, trained.run.last], stripes_data, "test")
    assert figures["n"] == 30
    assert figures["accuracy"] == pytest.approx((mean.argmax(axis=1) == faces.labels).mean())


def test_a_model_of_other_classes_is_refused(trained, stripes_data, tmp_path):
    from dataclasses import replace

    model = models.load(trained.run.path)
    other = replace(model, scheme=LabelScheme("other", tuple(reversed(model.scheme.classes))))
    other.save(tmp_path / "other.safetensors")
    with pytest.raises(DataSetError, match="figures across schemes"):
        evaluate([tmp_path / "other.safetensors"], stripes_data)


def test_missing_models_splits_and_data_are_named(trained, stripes_data, tmp_path):
    with pytest.raises(ModelError, match="no model"):
        evaluate(["nothing"], stripes_data)
    with pytest.raises(DataSetError, match="train, val, test"):
        evaluate([trained.run.path], stripes_data, "validation")
    with pytest.raises(DataSetError, match="build"):
        evaluate([trained.run.path], tmp_path)


def test_the_command_prints_the_contracts_json(trained, stripes_data, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["evaluate", str(trained.run.path), "--data", str(stripes_data), "--split", "test", "--json"])
    assert exit_.value.code == 0
    document = json.loads(capsys.readouterr().out)
    assert set(document) >= {
        "models", "split", "n", "accuracy", "ci95", "macro_f1", "macro_precision", "macro_recall",
        "per_class", "confusion", "classes", "ece", "tta",
    }  # fmt: skip
    assert np.sum(document["confusion"]) == document["n"] == 30


def test_the_table_names_split_and_n(trained, stripes_data, capsys):
    with pytest.raises(SystemExit):
        main(["evaluate", str(trained.run.path), "--data", str(stripes_data)])
    assert "split val, N = 40" in capsys.readouterr().out


def test_every_evaluation_of_a_run_is_on_record(trained, stripes_data):
    before = len(trained.run.figures.read_text().splitlines()) if trained.run.figures.exists() else 0
    evaluate([trained.run.path], stripes_data, "test")
    figures = evaluate([trained.run.path], stripes_data, "test", tta=2)
    assert len(trained.run.figures.read_text().splitlines()) == before + 2
    assert figures in trained.run.read_figures()
    keys = [(record["split"], record["tta"]) for record in trained.run.read_figures()]
    assert len(keys) == len(set(keys))
