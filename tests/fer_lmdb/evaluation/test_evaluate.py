from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

import prototxt_like as pl
from fer_lmdb.cli import main
from fer_lmdb.cli.render_evaluation import print_evaluation
from fer_lmdb.data.dataset import DataSet
from fer_lmdb.errors import DataSetError, ModelError
from fer_lmdb.evaluation.evaluate import evaluate
from fer_lmdb.faces.preprocessing import Preprocessing
from fer_lmdb.labels import FERPLUS, LabelScheme
from fer_lmdb.models import model as models
from fer_lmdb.models.classifier import Classifier


def test_the_figure_is_the_one_that_training_logged(trained, stripes_data):
    figures = evaluate([trained.run.path], stripes_data, "val")
    assert figures["n"] == 40
    assert figures["accuracy"] == pytest.approx(trained.best["val_accuracy"])
    assert figures["log_loss"] == pytest.approx(trained.best["val_loss"], rel=1e-5)
    assert figures["ci95"][0] < figures["accuracy"] <= figures["ci95"][1]
    assert (figures["split"], figures["tta"], len(figures["classes"])) == ("val", 1, 7)


def test_the_precision_is_on_record(trained, stripes_data):
    figures = evaluate([trained.run.path], stripes_data, "val", precision="bfloat16")
    plain = evaluate([trained.run.path], stripes_data, "val")
    assert (figures["precision"], plain["precision"]) == ("bfloat16", "float32")
    assert 0 < abs(figures["log_loss"] - plain["log_loss"]) < 0.05


def test_faces_of_another_kind_are_named(trained, stripes_data, tmp_path, capsys):
    assert "preprocessing_mismatch" not in evaluate([trained.run.path], stripes_data, "val")
    model = models.load_model(trained.run.path)
    replace(model, preprocessing=Preprocessing(margin=0.25)).save(tmp_path / "m.safetensors")
    figures = evaluate([tmp_path / "m.safetensors"], stripes_data, "val")
    (odd,) = figures["preprocessing_mismatch"].values()
    assert odd == {"detector": ["mtcnn", "none"], "margin": [0.25, 0.0]}
    print_evaluation(figures)
    told = "trained on faces prepared otherwise (detector mtcnn, here none; margin 0.25, here 0.0)"
    assert told in capsys.readouterr().out


def test_an_ensemble_averages_probabilities(trained, stripes_data):
    faces = DataSet.open(stripes_data).read("test")
    members = [models.load_model(trained.run.best), models.load_model(trained.run.last)]
    mean = np.mean([Classifier(member).probabilities(faces.images) for member in members], axis=0)
    figures = evaluate([trained.run.best, trained.run.last], stripes_data, "test")
    assert figures["n"] == 30
    assert figures["accuracy"] == pytest.approx((mean.argmax(axis=1) == faces.labels).mean())


def test_models_of_two_kinds_of_face_look_at_their_own(trained, stripes_data, negative_data, tmp_path):
    own = models.load_model(trained.run.path)
    replace(own, preprocessing=Preprocessing(detector="mtcnn")).save(tmp_path / "upright.safetensors")
    names = [trained.run.path, tmp_path / "upright.safetensors"]
    figures = evaluate(names, [stripes_data, negative_data], "val", ensemble_weights=[1, 3])
    faces = DataSet.open(stripes_data).read("val")
    votes = [Classifier(own).probabilities(images) for images in (faces.images, 255 - faces.images)]
    expected = (votes[0] + 3 * votes[1]).argmax(axis=1) == faces.labels
    assert figures["accuracy"] == pytest.approx(expected.mean())
    assert "preprocessing_mismatch" not in figures
    assert (figures["data"], figures["data_variants"]) == (str(stripes_data), [str(negative_data)])
    assert figures["data_sha256"] == DataSet.open(stripes_data).fingerprint()["sha256"]["val"]


def test_the_command_takes_several_data_sets(trained, stripes_data, negative_data, capsys):
    arguments = ["evaluate", str(trained.run.path), "--data", str(stripes_data), "--data", str(negative_data)]
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 0
    assert f"on {stripes_data}, split val" in capsys.readouterr().out


def test_a_model_of_other_classes_is_refused(trained, stripes_data, tmp_path):
    from dataclasses import replace

    model = models.load_model(trained.run.path)
    other = replace(model, scheme=LabelScheme("other", tuple(reversed(model.scheme.classes))))
    other.save(tmp_path / "other.safetensors")
    with pytest.raises(DataSetError, match="metrics of different label schemes"):
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


def test_a_narrow_terminal_loses_no_number(trained, stripes_data, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    with pytest.raises(SystemExit):
        main(["evaluate", str(trained.run.path), "--data", str(stripes_data)])
    out = capsys.readouterr().out
    (heading,) = [line.split() for line in out.splitlines() if line.startswith(" true")]
    assert heading == ["true", "ang", "dis", "fea", "hap", "sad", "sur", "neu", "recall", "precision", "N"]
    (row,) = [line.split() for line in out.splitlines() if line.startswith(" surprise")]
    assert len(row) == len(heading)


def test_no_command_cuts_a_table_off(stripes_data, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    with pytest.raises(SystemExit):
        main(["inspect", str(stripes_data)])
    heading = next(line for line in capsys.readouterr().out.splitlines() if "train" in line and "┃" in line)
    assert [cell.strip() for cell in heading.strip("┃").split("┃")] == ["", "train", "val", "test"]


def test_a_mistyped_model_is_told_of_before_a_missing_data_set(tmp_path):
    with pytest.raises(ModelError, match='no model "fer_mimi"'):
        evaluate(["fer_mimi"], tmp_path / "nowhere")


def test_every_evaluation_of_a_run_is_on_record(trained, stripes_data):
    before = len(trained.run.evaluations.read_text().splitlines()) if trained.run.evaluations.exists() else 0
    evaluate([trained.run.path], stripes_data, "test")
    figures = evaluate([trained.run.path], stripes_data, "test", tta=2)
    assert len(trained.run.evaluations.read_text().splitlines()) == before + 2
    assert figures in trained.run.read_evaluations()
    keys = [(record["split"], record["tta"]) for record in trained.run.read_evaluations()]
    assert len(keys) == len(set(keys))


def test_a_shipped_models_figures_are_not_the_runs_in_whose_folder_one_stands(trained, stripes_data, monkeypatch):
    lines = trained.run.evaluations.read_text() if trained.run.evaluations.exists() else ""
    monkeypatch.chdir(trained.run.path)
    evaluate(["fer_mini"], stripes_data)
    assert (trained.run.evaluations.read_text() if trained.run.evaluations.exists() else "") == lines


def test_figures_say_of_which_iteration_the_models_are(trained, stripes_data):
    figures = evaluate([trained.run.path, trained.run.last], stripes_data)
    assert figures["iterations"] == [trained.best["iteration"], trained.log[-1]["iteration"]]
    assert evaluate(["fer_mini"], stripes_data)["iterations"] != [None]


def test_figures_on_other_faces_are_on_record_and_are_not_taken_for_the_runs_own(trained, stripes_data, tmp_path):
    own = evaluate([trained.run.path], stripes_data, "val")
    other = shutil.copytree(stripes_data, tmp_path / "other")
    manifest = json.loads((other / "manifest.json").read_text())
    manifest["splits"]["val"]["sha256"] = "0" * 64
    (other / "manifest.json").write_text(json.dumps(manifest))
    elsewhere = evaluate([trained.run.path], other, "val")
    assert json.loads(trained.run.evaluations.read_text().splitlines()[-1]) == elsewhere
    assert own in trained.run.read_evaluations()
    assert elsewhere not in trained.run.read_evaluations()


def test_weights_are_fitted_on_validation_and_never_on_test(trained, stripes_data):
    names = [trained.run.best, trained.run.last]
    fitted = evaluate(names, stripes_data, "test", fit_weights_on="val")
    assert fitted["fitted_on"] == "val"
    again = evaluate(names, stripes_data, "val", fit_weights_on="val")
    assert again["weights"] == fitted["weights"]
    assert evaluate(names, stripes_data, "test", ensemble_weights=fitted["weights"])["log_loss"] == fitted["log_loss"]
    with pytest.raises(DataSetError, match="never fitted on"):
        evaluate(names, stripes_data, "val", fit_weights_on="test")


def test_an_ensembles_evaluation_is_on_record_in_its_run_and_is_not_taken_for_the_runs_own(trained, stripes_data):
    own = evaluate([trained.run.path], stripes_data, "test")
    before = len(trained.run.evaluations.read_text().splitlines())
    evaluate([trained.run.best, trained.run.last], stripes_data, "test")
    lines = trained.run.evaluations.read_text().splitlines()
    assert len(lines) == before + 1
    assert len(json.loads(lines[-1])["models"]) == 2
    assert own in trained.run.read_evaluations()


def test_a_comparison_tells_both_accuracies_and_a_p_value(trained, stripes_data):
    found = evaluate([trained.run.best], stripes_data, "val", compare_to=[trained.run.best, trained.run.last])
    comparison = found["comparison"]
    assert comparison["models"] == [str(trained.run.best), str(trained.run.last)]
    assert comparison["difference"] == pytest.approx(found["accuracy"] - comparison["accuracy"])
    assert 0 <= comparison["p_value"] <= 1


def test_votes_add_the_protocols_with_their_n(trained, voted_data, tmp_path):
    from dataclasses import replace

    eight = replace(models.load_model(trained.run.path), scheme=FERPLUS)
    net = pl.zoo.set_num_classes(pl.parse_net(eight.deploy_prototxt), 8)
    weights = {
        key: torch.cat([blob, blob[:1]]) if key.startswith("fc3/") else blob for key, blob in eight.weights.items()
    }
    replace(eight, deploy_prototxt=pl.to_text(net), weights=weights).save(tmp_path / "eight.safetensors")
    found = evaluate([tmp_path / "eight.safetensors"], voted_data, "val")["protocols"]
    assert {name: figure["n"] for name, figure in found.items()} == {
        "majority without contempt": 40,
        "majority": 40,
        "argmax": 40,
        "all": 40,
    }


def test_the_command_compares_explains_and_draws(trained, stripes_data, tmp_path, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(
            ["evaluate", str(trained.run.best), "--data", str(stripes_data), "--compare", str(trained.run.last),
             "--batch-accuracies", "--plot", str(tmp_path / "batches.png")]
        )  # fmt: skip
    out = capsys.readouterr().out
    assert exit_.value.code == 0
    assert "McNemar's exact test: p = " in out
    assert "The best batch: " in out
    assert (tmp_path / "batches.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--ensemble-weights", "1,x"], "expected one number per model"),
        (["--ensemble-weights", "1", "--fit-ensemble-weights"], "mutually exclusive"),
        (["--plot", "x.png"], "--plot needs --batch-accuracies"),
    ],
)
def test_options_that_contradict_each_other_are_wrong_usage(trained, stripes_data, capsys, flags, message):
    with pytest.raises(SystemExit) as exit_:
        main(["evaluate", str(trained.run.path), "--data", str(stripes_data), *flags])
    assert exit_.value.code == 2
    assert message in capsys.readouterr().err
