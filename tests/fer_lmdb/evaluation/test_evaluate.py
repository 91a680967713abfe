from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

import prototxt_like as pl
from fer_lmdb.cli import main
from fer_lmdb.cli.render_evaluation import print_evaluation
from fer_lmdb.data.dataset import DataSet
from fer_lmdb.errors import DataSetError, MissingExtra, ModelError, OptionError
from fer_lmdb.evaluation.evaluate import evaluate
from fer_lmdb.faces.preprocessing import Preprocessing
from fer_lmdb.labels import FERPLUS, LabelScheme
from fer_lmdb.models.classifier import Classifier
from fer_lmdb.models.evaluation_log import read_evaluations
from fer_lmdb.models.registry import load_model


def logged(run) -> list[str]:
    return run.evaluations.read_text().splitlines() if run.evaluations.exists() else []


def test_metrics_equal_those_logged_in_training(trained, stripes_data):
    result = evaluate([trained.run.path], stripes_data, "val")
    assert result.n == 40
    assert result.accuracy == pytest.approx(trained.best["val_accuracy"])
    assert result.log_loss == pytest.approx(trained.best["val_loss"], rel=1e-5)
    assert result.ci95[0] < result.accuracy <= result.ci95[1]
    assert (result.split, result.tta, len(result.classes)) == ("val", 1, 7)


def test_models_may_be_names_paths_runs_or_objects_and_data_sets_paths_or_objects(trained, stripes_data):
    expected = evaluate([str(trained.run.path)], [str(stripes_data)])
    model, data = load_model(trained.run.path), DataSet.open(stripes_data)
    for source in (trained, trained.run, trained.run.path, model, [model]):
        found = evaluate(source, data)
        assert (found.confusion, found.iterations) == (expected.confusion, expected.iterations)


def test_precision_is_recorded(trained, stripes_data):
    bfloat16 = evaluate([trained.run.path], stripes_data, "val", precision="bfloat16")
    float32 = evaluate([trained.run.path], stripes_data, "val")
    assert (bfloat16.precision, float32.precision) == ("bfloat16", "float32")
    assert 0 < abs(bfloat16.log_loss - float32.log_loss) < 0.05


def test_preprocessing_mismatch_is_reported(trained, stripes_data, tmp_path, capsys):
    assert "preprocessing_mismatch" not in evaluate([trained.run.path], stripes_data, "val").to_dict()
    model = load_model(trained.run.path)
    replace(model, preprocessing=Preprocessing(margin=0.25)).save(tmp_path / "m.safetensors")
    result = evaluate([tmp_path / "m.safetensors"], stripes_data, "val")
    (differing,) = result.preprocessing_mismatch.values()
    assert differing == {"detector": ["mtcnn", "none"], "margin": [0.25, 0.0]}
    print_evaluation(result)
    expected = "trained with different preprocessing (detector mtcnn, here none; margin 0.25, here 0.0)"
    assert expected in capsys.readouterr().out


def test_an_ensemble_averages_probabilities(trained, stripes_data):
    faces = DataSet.open(stripes_data).read("test")
    members = [load_model(trained.run.best), load_model(trained.run.last)]
    mean = np.mean([Classifier(member).probabilities(faces.images) for member in members], axis=0)
    result = evaluate([trained.run.best, trained.run.last], stripes_data, "test")
    assert result.n == 30
    assert result.probabilities == pytest.approx(mean, abs=1e-6)
    assert result.accuracy == pytest.approx((mean.argmax(axis=1) == faces.labels).mean())


def test_each_model_is_evaluated_on_the_variant_that_matches_its_training(
    trained, stripes_data, negative_data, tmp_path
):
    own = load_model(trained.run.path)
    replace(own, preprocessing=Preprocessing(detector="mtcnn")).save(tmp_path / "aligned.safetensors")
    names = [trained.run.path, tmp_path / "aligned.safetensors"]
    result = evaluate(names, [stripes_data, negative_data], "val", ensemble_weights=[1, 3])
    faces = DataSet.open(stripes_data).read("val")
    rows = [Classifier(own).probabilities(images) for images in (faces.images, 255 - faces.images)]
    expected = (rows[0] + 3 * rows[1]).argmax(axis=1) == faces.labels
    assert result.accuracy == pytest.approx(expected.mean())
    assert result.preprocessing_mismatch is None
    assert (result.data, result.data_variants) == (str(stripes_data), [str(negative_data)])
    assert result.data_sha256 == DataSet.open(stripes_data).fingerprint()["sha256"]["val"]


def test_the_command_accepts_several_data_sets(trained, stripes_data, negative_data, capsys):
    arguments = ["evaluate", str(trained.run.path), "--data", str(stripes_data), "--data", str(negative_data)]
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 0
    assert f"on {stripes_data}, split val" in capsys.readouterr().out


def test_a_model_with_another_label_scheme_is_rejected(trained, stripes_data, tmp_path):
    model = load_model(trained.run.path)
    other = replace(model, scheme=LabelScheme("other", tuple(reversed(model.scheme.classes))))
    other.save(tmp_path / "other.safetensors")
    with pytest.raises(DataSetError, match="metrics of different label schemes are not comparable"):
        evaluate([tmp_path / "other.safetensors"], stripes_data)


def test_a_model_that_returns_nan_is_rejected_by_name(trained, stripes_data, tmp_path):
    model = load_model(trained.run.path)
    name, blob = next(iter(model.weights.items()))
    replace(model, weights={**model.weights, name: torch.full_like(blob, torch.nan)}).save(tmp_path / "bad.safetensors")
    with pytest.raises(ModelError, match=r"bad\.safetensors returns NaN for 40 of 40 faces.*diverged"):
        evaluate([trained.run.path, tmp_path / "bad.safetensors"], stripes_data)


def test_errors_name_missing_models_splits_and_data(trained, stripes_data, tmp_path):
    with pytest.raises(ModelError, match="no model"):
        evaluate(["nothing"], stripes_data)
    with pytest.raises(DataSetError, match="train, val, test"):
        evaluate([trained.run.path], stripes_data, "validation")
    with pytest.raises(DataSetError, match="build"):
        evaluate([trained.run.path], tmp_path)
    with pytest.raises(OptionError, match="1, 2, 4, 10"):
        evaluate([trained.run.path], stripes_data, tta=3)


def test_the_json_document_has_the_documented_keys(trained, stripes_data, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["evaluate", str(trained.run.path), "--data", str(stripes_data), "--split", "test", "--json"])
    assert exit_.value.code == 0
    document = json.loads(capsys.readouterr().out)
    assert set(document) == {
        "models", "iterations", "split", "tta", "precision", "classes", "data", "data_sha256", "n", "accuracy", "ci95",
        "macro_f1", "macro_precision", "macro_recall", "log_loss", "ece", "per_class", "confusion",
    }  # fmt: skip
    assert np.sum(document["confusion"]) == document["n"] == 30


def test_the_result_has_a_table_for_notebooks(trained, stripes_data):
    html = evaluate(trained.run, stripes_data)._repr_html_()
    assert html.startswith("<table>")
    assert html.count("<tr>") == 8
    assert "N = 40, 1 view" in html


def test_a_data_frame_requires_pandas(trained, stripes_data, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtra, match="pip install pandas"):
        evaluate(trained.run, stripes_data).to_frame()


def test_the_headline_contains_split_and_n(trained, stripes_data, capsys):
    with pytest.raises(SystemExit):
        main(["evaluate", str(trained.run.path), "--data", str(stripes_data)])
    assert "split val, N = 40" in capsys.readouterr().out


def test_a_narrow_terminal_truncates_no_number(trained, stripes_data, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    with pytest.raises(SystemExit):
        main(["evaluate", str(trained.run.path), "--data", str(stripes_data)])
    out = capsys.readouterr().out
    (heading,) = [line.split() for line in out.splitlines() if line.startswith(" true")]
    assert heading == ["true", "ang", "dis", "fea", "hap", "sad", "sur", "neu", "recall", "precision", "N"]
    (row,) = [line.split() for line in out.splitlines() if line.startswith(" surprise")]
    assert len(row) == len(heading)


def test_no_command_truncates_a_table(stripes_data, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    with pytest.raises(SystemExit):
        main(["inspect", str(stripes_data)])
    heading = next(line for line in capsys.readouterr().out.splitlines() if "train" in line and "┃" in line)
    assert [cell.strip() for cell in heading.strip("┃").split("┃")] == ["", "train", "val", "test"]


def test_a_mistyped_model_is_reported_before_a_missing_data_set(tmp_path):
    with pytest.raises(ModelError, match='no model "fer_mimi"'):
        evaluate(["fer_mimi"], tmp_path / "nowhere")


def test_every_evaluation_of_a_run_is_logged(trained, stripes_data):
    before = len(logged(trained.run))
    evaluate([trained.run.path], stripes_data, "test")
    result = evaluate([trained.run.path], stripes_data, "test", tta=2)
    assert len(logged(trained.run)) == before + 2
    assert result.to_dict() in read_evaluations(trained.run)
    keys = [(record["split"], record["tta"]) for record in read_evaluations(trained.run)]
    assert len(keys) == len(set(keys))


def test_no_log_leaves_the_run_folder_unchanged(trained, stripes_data, capsys):
    before = logged(trained.run)
    evaluate(trained.run, stripes_data, log=False)
    with pytest.raises(SystemExit) as exit_:
        main(["evaluate", str(trained.run.path), "--data", str(stripes_data), "--no-log"])
    assert exit_.value.code == 0
    assert logged(trained.run) == before


def test_a_run_in_a_read_only_folder_is_evaluated_with_a_warning(trained, stripes_data, monkeypatch, capsys):
    def fail(run, evaluation):
        raise OSError(30, os.strerror(30))

    monkeypatch.setattr("fer_lmdb.evaluation.log.append_evaluation", fail)
    with pytest.raises(SystemExit) as exit_:
        main(["evaluate", str(trained.run.path), "--data", str(stripes_data), "--json"])
    captured = capsys.readouterr()
    assert exit_.value.code == 0
    assert json.loads(captured.out)["n"] == 40
    expected = f"Warning: {trained.run.evaluations}: cannot be written (Read-only file system)"
    assert expected in captured.err
    with pytest.warns(UserWarning, match="cannot be written"):
        assert evaluate(trained.run, stripes_data).n == 40


def test_evaluating_a_pretrained_model_from_a_run_folder_does_not_log(trained, stripes_data, monkeypatch):
    before = logged(trained.run)
    monkeypatch.chdir(trained.run.path)
    evaluate(["fer_mini"], stripes_data)
    assert logged(trained.run) == before


def test_results_contain_the_iterations_of_the_models(trained, stripes_data):
    result = evaluate([trained.run.path, trained.run.last], stripes_data)
    assert result.iterations == [trained.best["iteration"], trained.log[-1]["iteration"]]
    assert evaluate(["fer_mini"], stripes_data).iterations != [None]


def test_results_on_other_data_are_logged_but_not_read_as_results_of_the_run(trained, stripes_data, tmp_path):
    own = evaluate([trained.run.path], stripes_data, "val")
    other = shutil.copytree(stripes_data, tmp_path / "other")
    manifest = json.loads((other / "manifest.json").read_text())
    manifest["splits"]["val"]["sha256"] = "0" * 64
    (other / "manifest.json").write_text(json.dumps(manifest))
    elsewhere = evaluate([trained.run.path], other, "val")
    assert json.loads(logged(trained.run)[-1]) == elsewhere.to_dict()
    assert own.to_dict() in read_evaluations(trained.run)
    assert elsewhere.to_dict() not in read_evaluations(trained.run)


def test_weights_are_fitted_on_validation_and_never_on_test(trained, stripes_data):
    names = [trained.run.best, trained.run.last]
    fitted = evaluate(names, stripes_data, "test", fit_weights_on="val")
    assert fitted.fitted_on == "val"
    again = evaluate(names, stripes_data, "val", fit_weights_on="val")
    assert again.weights == fitted.weights
    assert evaluate(names, stripes_data, "test", ensemble_weights=fitted.weights).log_loss == fitted.log_loss
    with pytest.raises(DataSetError, match="never fitted on"):
        evaluate(names, stripes_data, "val", fit_weights_on="test")
    with pytest.raises(OptionError, match="mutually exclusive"):
        evaluate(names, stripes_data, "val", fit_weights_on="val", ensemble_weights=[1, 2])


def test_an_ensembles_result_is_logged_but_not_read_as_a_result_of_the_run(trained, stripes_data):
    own = evaluate([trained.run.path], stripes_data, "test")
    before = len(logged(trained.run))
    evaluate([trained.run.best, trained.run.last], stripes_data, "test")
    lines = logged(trained.run)
    assert len(lines) == before + 1
    assert len(json.loads(lines[-1])["models"]) == 2
    assert own.to_dict() in read_evaluations(trained.run)


def test_a_comparison_contains_both_accuracies_and_a_p_value(trained, stripes_data):
    before = len(logged(trained.run))
    result = evaluate([trained.run.best], stripes_data, "val", compare_to=[trained.run.best, trained.run.last])
    assert result.comparison["models"] == [str(trained.run.best), str(trained.run.last)]
    assert result.comparison["difference"] == pytest.approx(result.accuracy - result.comparison["accuracy"])
    assert 0 <= result.comparison["p_value"] <= 1
    assert [json.loads(line)["accuracy"] for line in logged(trained.run)[before:]] == [
        result.comparison["accuracy"],
        result.accuracy,
    ]


def test_each_file_is_built_as_a_net_once(trained, stripes_data, monkeypatch):
    built = []
    monkeypatch.setattr(
        "fer_lmdb.evaluation.predictor.Classifier", lambda *arguments: built.append(1) or Classifier(*arguments)
    )
    names = [trained.run.best, trained.run.last]
    evaluate(names, stripes_data, "test", fit_weights_on="val", compare_to=names)
    assert len(built) == 2


def test_ferplus_votes_add_the_protocols_with_their_n(trained, voted_data, tmp_path):
    eight = replace(load_model(trained.run.path), scheme=FERPLUS)
    net = pl.zoo.set_num_classes(pl.parse_net(eight.deploy_prototxt), 8)
    weights = {
        key: torch.cat([blob, blob[:1]]) if key.startswith("fc3/") else blob for key, blob in eight.weights.items()
    }
    replace(eight, deploy_prototxt=pl.to_text(net), weights=weights).save(tmp_path / "eight.safetensors")
    protocols = evaluate([tmp_path / "eight.safetensors"], voted_data, "val").protocols
    assert {name: metrics["n"] for name, metrics in protocols.items()} == {
        "majority without contempt": 40,
        "majority": 40,
        "argmax": 40,
        "all": 40,
    }


def test_the_command_compares_and_plots_batch_accuracies(trained, stripes_data, tmp_path, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(
            ["evaluate", str(trained.run.best), "--data", str(stripes_data), "--compare", str(trained.run.last),
             "--batch-accuracies", "--plot", str(tmp_path / "batches.png")]
        )  # fmt: skip
    out = capsys.readouterr().out
    assert exit_.value.code == 0
    assert "McNemar's exact test: p = " in out
    assert "Best batch: " in out
    assert (tmp_path / "batches.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--ensemble-weights", "1,x"], "expected numbers separated by commas"),
        (["--ensemble-weights", "1", "--fit-ensemble-weights"], "mutually exclusive"),
        (["--plot", "x.png"], "--plot requires --batch-accuracies"),
    ],
)
def test_contradictory_options_are_usage_errors(trained, stripes_data, capsys, flags, message):
    with pytest.raises(SystemExit) as exit_:
        main(["evaluate", str(trained.run.path), "--data", str(stripes_data), *flags])
    assert exit_.value.code == 2
    assert message in capsys.readouterr().err
