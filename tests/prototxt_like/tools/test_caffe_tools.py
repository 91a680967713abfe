"""Tests of Caffe's other programs: upgrades, means, databases, features, drawings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import prototxt_like as pl
from prototxt_like.sources.database import database_records, decode_datum
from prototxt_like.tools.command_line import main
from tests.archives import unpack
from tests.prototxt_like.tools.test_caffe_train import messages

cv2 = pytest.importorskip("cv2")
pytest.importorskip("lmdb")

OLD_NET = """
name: "old" input: "data" input_dim: 1 input_dim: 1 input_dim: 4 input_dim: 4
layers { name: "ip" type: INNER_PRODUCT bottom: "data" top: "ip" blobs_lr: 1 inner_product_param { num_output: 2 } }
"""


def test_upgrades(tmp_path: Path) -> None:
    source, text, binary = (str(tmp_path / name) for name in ("old.prototxt", "new.prototxt", "new.caffemodel"))
    Path(source).write_text(OLD_NET)
    assert main(["upgrade_net_proto_text", source, text]) == 0
    assert main(["upgrade_net_proto_binary", source, binary]) == 0
    assert "layers" not in Path(text).read_text() and 'type: "InnerProduct"' in Path(text).read_text()
    assert pl.read_net(text) == pl.read_net(binary) == pl.read_net(source)
    (tmp_path / "solver").write_text("base_lr: 1 solver_type: NESTEROV")
    assert main(["upgrade_solver_proto_text", str(tmp_path / "solver"), text]) == 0
    assert 'type: "Nesterov"' in Path(text).read_text()
    assert main(["upgrade_net_proto_text", source]) == 2


@pytest.mark.parametrize("name", ["img_test_lmdb", "img_test_png_lmdb"])
def test_mean_equals_that_of_caffe(shared: Path, tmp_path: Path, name: str) -> None:
    caffe = shared / "golden/caffe"
    unpack(caffe / f"{name}.tar.xz", tmp_path)
    output = tmp_path / "mean.binaryproto"
    assert main(["compute_image_mean", "-backend=lmdb", str(tmp_path / name), str(output)]) == 0
    assert output.read_bytes() == (caffe / "test_mean.binaryproto").read_bytes()


def image_folder(folder: Path) -> np.ndarray:
    pixels = np.random.default_rng(1).integers(0, 256, (3, 6, 5, 3), dtype=np.uint8)
    (folder / "images").mkdir()
    for index, image in enumerate(pixels):
        cv2.imwrite(str(folder / f"images/{index}.png"), image)
    (folder / "list.txt").write_text("0.png 4\nmissing.png 1\n1.png 5\n2.png 6\n")
    return pixels


def convert(folder: Path, *flags: str) -> list[tuple[str, np.ndarray, int]]:
    database = str(folder / f"db{len(list(folder.iterdir()))}")
    assert main(["convert_imageset", *flags, f"{folder}/images/", f"{folder}/list.txt", database]) == 0
    return [(key.decode(), *decode_datum(value, "")) for key, value in database_records(database)]


def test_convert_imageset(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pixels = image_folder(tmp_path)
    found = convert(tmp_path)
    assert [(key, label) for key, _, label in found] == [
        ("00000000_0.png", 4), ("00000002_1.png", 5), ("00000003_2.png", 6),
    ]  # fmt: skip
    np.testing.assert_array_equal(found[1][1], pixels[1].transpose(2, 0, 1))
    lines = messages(capfd.readouterr().err)
    assert lines[0] == "A total of 4 images." and lines[-2:] == [
        "Processed 3 files.", "1 of 4 images could not be read",
    ]  # fmt: skip
    gray = convert(tmp_path, "-gray", "-resize_height", "3", "-resize_width=4")
    assert gray[0][1].shape == (1, 3, 4)
    encoded = convert(tmp_path, "--encoded")
    np.testing.assert_array_equal(encoded[2][1], pixels[2].transpose(2, 0, 1))
    png = convert(tmp_path, "-gray", "-encode_type", "png", "-encoded")
    assert png[0][1].shape == (1, 6, 5)


def test_shuffle_with_a_seed_and_existing_output(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    image_folder(tmp_path)
    orders = [[label for _, _, label in convert(tmp_path, "-shuffle", f"-seed={seed}")] for seed in (1, 1, 3)]
    assert orders[0] == orders[1] and sorted(orders[2]) == [4, 5, 6]
    (tmp_path / "taken").mkdir()
    assert main(["convert_imageset", str(tmp_path), f"{tmp_path}/list.txt", f"{tmp_path}/taken"]) == 1
    assert "taken already exists; choose a new folder" in capfd.readouterr().err


def test_size_check_and_leveldb(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("plyvel")
    image_folder(tmp_path)
    assert len(convert(tmp_path, "-backend", "leveldb")) == 3
    cv2.imwrite(str(tmp_path / "images/missing.png"), np.zeros((2, 2), np.uint8))
    arguments = ["-check_size", f"{tmp_path}/images", f"{tmp_path}/list.txt", f"{tmp_path}/checked"]
    assert main(["convert_imageset", *arguments]) == 1
    assert "missing.png: incorrect data field size: found 12, expected 90" in capfd.readouterr().err


@pytest.mark.parametrize("kind", ["lmdb", "hdf5"])
def test_extract_features(solver: Path, tmp_path: Path, kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    h5py = pytest.importorskip("h5py")
    model, weights = tmp_path / "net.prototxt", tmp_path / "w.caffemodel"
    model.write_text(model.read_text().replace("gaussian", "constant"))
    net = pl.Net(model, phase="TRAIN")
    pl.save_weights(net, weights)
    expected = net.params["ip"][1].detach().numpy()
    paths = f"{tmp_path}/ip_{kind},{tmp_path}/label_{kind}"
    assert main(["extract_features", str(weights), str(model), "ip,label", paths, "2", kind]) == 0
    assert messages(capfd.readouterr().err)[-1] == "Successfully extracted the features!"
    if kind == "hdf5":
        with h5py.File(tmp_path / "ip_hdf5") as file:
            np.testing.assert_allclose(file["ip"][()], np.tile(expected, (8, 1)))
        return
    records = list(database_records(f"{tmp_path}/ip_lmdb"))
    assert [key for key, _ in records] == [f"{index:010d}".encode() for index in range(8)]
    datum = pl.Datum.FromString(records[3][1])
    assert (datum.channels, datum.height, datum.width) == (2, 1, 1)
    np.testing.assert_allclose(datum.float_data, expected)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["ip,loss", "a", "1", "lmdb"], 2, "found 2 blob names and 1 dataset names"),
        (["missing", "a", "1", "lmdb"], 1, "unknown feature blob name missing"),
        (["ip", "a", "none", "lmdb"], 2, "invalid number of mini-batches: found none"),
        (["ip", "a", "1", "db"], 1, 'unknown backend "db"; use lmdb or leveldb'),
    ],
)
def test_errors_of_extract_features(
    solver: Path, arguments: list[str], code: int, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    model = solver.parent / "net.prototxt"
    weights = solver.parent / "w.caffemodel"
    pl.save_weights(pl.Net(model, phase="TRAIN"), weights)
    assert main(["extract_features", str(weights), str(model), *arguments]) == code
    assert message in capfd.readouterr().err


def test_draw_net(solver: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    model, folder = str(solver.parent / "net.prototxt"), solver.parent
    assert main(["draw_net", model, f"{folder}/all.svg", "--phase=ALL"]) == 0
    assert main(["draw_net", model, f"{folder}/train.dot", "--phase", "TRAIN", "--rankdir=TB"]) == 0
    assert "accuracy" in (folder / "all.svg").read_text()
    dot = (folder / "train.dot").read_text()
    assert "accuracy" not in dot and 'rankdir="TB"' in dot and '"ip_blob" -> layer2;' in dot
    monkeypatch.setenv("PATH", "")
    assert main(["draw_net", model, f"{folder}/net.png"]) == 1
    assert "png needs Graphviz; install it, or write .svg or .dot" in capfd.readouterr().err
