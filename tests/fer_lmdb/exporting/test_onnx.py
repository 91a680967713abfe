"""Export to ONNX: the file reproduces the model's probabilities for each zoo net."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import prototxt_like as pl
from fer_lmdb.cli import cli
from fer_lmdb.data.dataset import DataSet
from fer_lmdb.errors import DataSetError, MissingExtra, ModelError
from fer_lmdb.exporting import quantization
from fer_lmdb.exporting.export import export
from fer_lmdb.exporting.onnx import MAX_DIFFERENCE, require, write_onnx
from fer_lmdb.exporting.quantization import load_calibration_data
from fer_lmdb.faces.preprocessing import Preprocessing
from fer_lmdb.io.images import write_image
from fer_lmdb.labels import FER2013, MERGED, WITHOUT_DISGUST, LabelScheme
from fer_lmdb.models.classifier import Classifier
from fer_lmdb.models.model import Model
from fer_lmdb.models.registry import load_model

pytest.importorskip("onnxscript")
onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

PAGE = Path(__file__).parents[3] / "docs" / "export.md"


def narrow(message: pl.NetParameter) -> pl.NetParameter:
    """Reduce the channels to an eighth, to export the same layers in a fraction of the time."""
    for layer in message.layer:
        for options in (layer.convolution_param, layer.inner_product_param):
            if options.num_output > len(FER2013):
                options.num_output = max(4, options.num_output // 8)
    return message


def untrained(name: str) -> Model:
    """Return an untrained zoo net with random BatchNorm statistics and its TEST transform."""
    torch.manual_seed(3)
    message = narrow(pl.zoo.load(name, len(FER2013), "deploy"))
    net = pl.Net(message)
    for layer in net.caffe_layers:
        if layer.type_name == "BatchNorm":
            mean_sum, variance_sum, scale_sum = layer.blobs
            mean_sum.normal_(0, 0.1), variance_sum.uniform_(0.5, 2), scale_sum.fill_(1)
    weights = {f"{layer}/{i}": blob.detach() for layer, blobs in net.params.items() for i, blob in enumerate(blobs)}
    data = next(part for part in pl.zoo.load(name).layer if part.type == "Data" and part.include[0].phase == 1)
    mean = np.full((1, 48, 48), 120, np.float32) if data.transform_param.mean_file else None
    text = pl.to_text(data.transform_param)
    return Model(name, pl.to_text(message), text, weights, mean, FER2013, Preprocessing(detector="none"))


@pytest.mark.parametrize("name", pl.zoo.names())
def test_every_net_of_the_zoo(name: str, tmp_path: Path) -> None:
    model = untrained(name)
    facts = write_onnx(model, tmp_path / "net.onnx")
    assert facts["largest_difference"] < MAX_DIFFERENCE
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    for count in (1, 3):
        faces = np.random.default_rng(count).integers(0, 256, (count, 1, 48, 48)).astype(np.uint8)
        (found,) = session.run(["probabilities"], {"faces": faces})
        assert found.shape == (count, 7)
        np.testing.assert_allclose(found, Classifier(model).probabilities(faces), atol=1e-4)


@pytest.fixture(scope="module")
def exported(trained, stripes_data, tmp_path_factory: pytest.TempPathFactory):
    """A run exported in float32 and int8."""
    return export(trained.run.path, tmp_path_factory.mktemp("onnx") / "m.onnx", int8_data=stripes_data)


def test_inputs_outputs_and_metadata(exported, trained) -> None:
    session = onnxruntime.InferenceSession(exported.files[0])
    (faces,), (probabilities,) = session.get_inputs(), session.get_outputs()
    assert (faces.name, faces.type, faces.shape[1:]) == ("faces", "tensor(uint8)", [1, 48, 48])
    assert isinstance(faces.shape[0], str)  # any number of faces
    assert (probabilities.name, probabilities.shape[1]) == ("probabilities", 7)
    texts = session.get_modelmeta().custom_metadata_map
    assert tuple(json.loads(texts["classes"])) == FER2013.classes
    assert json.loads(texts["preprocessing"])["size"] == 48
    assert texts["format"] == "fer-lmdb onnx 1"
    assert b"/site-packages/" not in exported.files[0].read_bytes()  # no paths of this machine


def test_file_reproduces_the_probabilities(exported, trained, stripes_data) -> None:
    faces = DataSet.open(stripes_data).read("val").images
    expected = Classifier(load_model(trained.run.path)).probabilities(faces)
    (found,) = onnxruntime.InferenceSession(exported.files[0]).run(None, {"faces": faces})
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_example_of_the_docs(exported, tmp_path: Path, monkeypatch, capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    assert len([line for line in block.splitlines() if line]) == 10
    shutil.copy(exported.files[0], tmp_path / "face.onnx")
    write_image(tmp_path / "face.png", np.tile(np.arange(0, 240, 4, np.uint8), (60, 1)))
    monkeypatch.chdir(tmp_path)
    exec(compile(block, str(PAGE), "exec"), {"__name__": "page"})
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert {name for name, _ in lines} == set(FER2013.classes)
    percents = [float(percent.rstrip("%")) for _, percent in lines]
    assert percents == sorted(percents, reverse=True)
    assert sum(percents) == pytest.approx(100, abs=0.5)


def test_int8_size_and_results(exported, stripes_data) -> None:
    results = exported.checks["int8"]
    assert exported.files[1].name == "m-int8.onnx"
    assert results["int8"]["bytes"] == exported.files[1].stat().st_size < 0.4 * exported.files[0].stat().st_size
    assert (results["split"], results["n"], results["calibration_faces"]) == ("val", 40, 150)
    val = DataSet.open(stripes_data).read("val")
    for name, path in zip(("float32", "int8"), exported.files, strict=True):
        (rows,) = onnxruntime.InferenceSession(path).run(None, {"faces": val.images})
        assert results[name]["accuracy"] == pytest.approx((rows.argmax(1) == val.labels).mean())
    assert results["int8"]["accuracy"] == pytest.approx(results["float32"]["accuracy"], abs=0.1)
    texts = onnxruntime.InferenceSession(exported.files[1]).get_modelmeta().custom_metadata_map
    assert json.loads(texts["int8"])["int8"]["accuracy"] == results["int8"]["accuracy"]
    assert "classes" in texts


def test_file_with_other_probabilities_is_not_written(trained, exported, tmp_path: Path, monkeypatch) -> None:
    graph = onnx.load_model(exported.files[0])
    (weights,) = (one for one in graph.graph.initializer if list(one.dims) == [7])  # the last bias
    weights.CopyFrom(onnx.numpy_helper.from_array(np.arange(7, dtype=np.float32), weights.name))
    monkeypatch.setattr("fer_lmdb.exporting.onnx._to_graph", lambda model, classifier: graph)
    with pytest.raises(ModelError, match=r"m\.onnx: onnxruntime's probabilities differ .* no file was written"):
        write_onnx(load_model(trained.run.path), tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("known", "reason"),
    [
        (LabelScheme("other", ("a", "b")), r"different classes, merged \(angry, .*\) and other \(a, b\)"),
        (WITHOUT_DISGUST, "same names for different classes"),
    ],
)
def test_data_set_with_other_labels_is_rejected(
    trained, stripes_data, tmp_path: Path, known: LabelScheme, reason: str
) -> None:
    folder = Path(shutil.copytree(stripes_data, tmp_path / "merged"))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest |= {"scheme": MERGED.name, "classes": list(MERGED.classes)}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DataSetError, match=f"merged and the model .* differ: {reason}"):
        load_calibration_data(replace(load_model(trained.run.path), scheme=known), folder)


def test_interrupted_int8_export_keeps_the_old_file(
    trained, exported, stripes_data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(path: Path, results: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(quantization, "_store_results", stop)
    (tmp_path / "small.onnx").write_bytes(b"old file")
    faces = load_calibration_data(load_model(trained.run.path), stripes_data)
    with pytest.raises(KeyboardInterrupt):
        quantization.write_int8(exported.files[0], tmp_path / "small.onnx", faces)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old file"]


def test_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        MissingExtra, match=r"requires no_such_package; install the extra: pip install 'fer-lmdb\[onnx\]'"
    ):
        require("no_such_package")


def test_command(trained, stripes_data, tmp_path: Path) -> None:
    words = ["export", str(trained.run.path), "--format", "onnx", "--out", str(tmp_path / "m.onnx")]
    result = CliRunner().invoke(cli, [*words, "--int8", "--data", str(stripes_data)])
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[2].startswith("Checked with onnxruntime on 128 random images: largest difference of a probability ")
    assert "split val, N = 40" in lines[3]
    assert [line.split()[0] for line in lines[4:]] == ["float32", "int8"]
    assert CliRunner().invoke(cli, [*words[:3], "caffe", *words[4:], "--int8"]).exit_code == 2
