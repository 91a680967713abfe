"""What is said of every kind of file, and that a check finds every damage."""

from __future__ import annotations

import json
import lzma
import shutil
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
import torch

import prototxt_like as pl
from fer_lmdb.data import lmdb_store
from fer_lmdb.data.build import BuildOptions, build
from fer_lmdb.data.manifest import file_sha256
from fer_lmdb.data.sources import Sample
from fer_lmdb.data.sources.ferplus import FerPlusSource, VoteRow
from fer_lmdb.errors import FerLmdbError, SourceError, StoreError
from fer_lmdb.faces.preprocessing import Preprocessing
from fer_lmdb.inspection import inspect
from fer_lmdb.inspection.databases import facts_of
from fer_lmdb.inspection.drawing import draw
from fer_lmdb.labels import FERPLUS
from fer_lmdb.models import model as models
from prototxt_like import zoo
from prototxt_like.errors import PrototxtLikeError
from tests.archives import unpack

NET = zoo.path("face_emotion_net")


@pytest.fixture
def data(stripes_data: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(stripes_data, tmp_path / "data"))


def edit_manifest(folder: Path, split: str, **facts: object) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["splits"][split].update(facts)
    path.write_text(json.dumps(manifest))


def problems(path: Path | str) -> str:
    return "\n".join(inspect(path, verify=True)["problems"])


# ------------------------------------------------------------------ data sets and databases


def test_a_whole_data_set(stripes_data: Path) -> None:
    document = inspect(stripes_data, verify=True)
    assert (document["kind"], document["problems"]) == ("data set", [])
    assert document["splits"]["val"]["count"] == 40
    assert "problems" not in inspect(stripes_data)


def test_another_records_under_the_right_digest_of_the_file(data: Path) -> None:
    shutil.rmtree(data / "val_lmdb")
    with lmdb_store.LmdbWriter(data / "val_lmdb") as writer:
        for number in range(39):
            writer.append(f"/val/0/{number}.png", np.zeros((48, 47), np.uint8), number % 8)
    edit_manifest(data, "val", file_sha256=file_sha256(data / "val_lmdb" / "data.mdb"))
    found = problems(data)
    for message in (
        "val: the records are others",
        "val: holds 39 faces, the manifest says 40",
        "val: holds pictures of 1 x 48 x 47; expected 1 x 48 x 48",
        "val: holds the labels",
    ):
        assert message in found


def test_keys_that_are_not_numbered(data: Path) -> None:
    faces = lmdb_store.read_split(data / "val_lmdb")
    shutil.rmtree(data / "val_lmdb")
    with lmdb_store.LmdbWriter(data / "val_lmdb") as writer:
        for number in range(40):
            writer.count = number + (number > 7)
            writer.append("x", faces.images[number, 0], int(faces.labels[number]))
    facts = {"file_sha256": file_sha256(data / "val_lmdb" / "data.mdb"), "sha256": writer.sha256}
    edit_manifest(data, "val", **facts)
    assert problems(data) == "val: record 8 has the key 00000009_x"


def test_a_flipped_bit_a_missing_part_another_mean(data: Path) -> None:
    path = data / "test_lmdb" / "data.mdb"
    content = bytearray(path.read_bytes())
    content[20_000] ^= 1
    path.write_bytes(content)
    shutil.rmtree(data / "val_lmdb")
    pl.write_mean(np.zeros((1, 48, 48), np.float32), data / "mean.binaryproto")
    found = problems(data).splitlines()
    assert len(found) == 3
    assert found[0].startswith("val: cannot read")
    assert "test: " in found[1] and "is damaged" in found[1]
    assert "mean: " in found[2] and "is damaged" in found[2]


def test_a_mean_of_something_else(data: Path) -> None:
    path = data / "mean.binaryproto"
    pl.write_mean(np.zeros((1, 48, 48), np.float32), path)
    manifest = json.loads((data / "manifest.json").read_text())
    manifest["mean"]["sha256"] = file_sha256(path)
    (data / "manifest.json").write_text(json.dumps(manifest))
    assert problems(data) == "mean: is not the mean of the train split"


class TwoPerSplit:
    name = "two"
    classes = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")

    def __iter__(self):
        for row, split in enumerate(["train", "train", "val", "val", "test", "test"]):
            yield Sample(f"/{split}/0/{row}.png", split, 0, np.full((48, 48), row, np.uint8), "", row)

    def size_hint(self) -> int:
        return 6

    def sha256(self) -> str:
        return ""


def test_votes_are_checked(tmp_path: Path) -> None:
    votes = [VoteRow(sample.split, "", (9, 1, 0, 0, 0, 0, 0, 0, 0, 0)) for sample in TwoPerSplit()]
    options = BuildOptions(Preprocessing(detector="none"), scheme=FERPLUS)
    build(FerPlusSource(TwoPerSplit(), votes, relabel=True), tmp_path / "data", options)
    assert problems(tmp_path / "data") == ""
    document = inspect(tmp_path / "data" / "val_votes_lmdb")
    assert document["encodings"] == {"numbers": 2}
    shutil.rmtree(tmp_path / "data" / "val_votes_lmdb")
    with lmdb_store.LmdbWriter(tmp_path / "data" / "val_votes_lmdb") as writer:
        writer.append_value("other", lmdb_store.encode_votes([1.0] * 10, 0))
    sha = file_sha256(tmp_path / "data" / "val_votes_lmdb" / "data.mdb")
    edit_manifest(tmp_path / "data", "val", votes_file_sha256=sha)
    assert problems(tmp_path / "data") == "val: votes and faces have different keys"


@pytest.mark.parametrize("damage", ["missing", "cut", "no json"])
def test_detections_are_checked(tmp_path: Path, monkeypatch, damage: str) -> None:
    class Nothing:
        def detect(self, images):
            return [[] for _ in images]

    monkeypatch.setattr(Preprocessing, "load_detector", lambda self, device: Nothing())
    build(TwoPerSplit(), tmp_path / "data")
    path = tmp_path / "data" / "detections.jsonl"
    assert problems(tmp_path / "data") == ""
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    else:
        path.write_text("no json\n")
    expected = "test: 1 faces are kept, the manifest says 2" if damage == "cut" else "is missing or damaged"
    assert problems(tmp_path / "data").startswith("detections: ")
    assert expected in problems(tmp_path / "data")


def test_databases_of_caffe(shared: Path, tmp_path: Path) -> None:
    for name in ("img_test_lmdb", "img_test_png_lmdb"):
        unpack(shared / "golden" / "caffe" / f"{name}.tar.xz", tmp_path)
    raw, png = (inspect(tmp_path / name, verify=True) for name in ("img_test_lmdb", "img_test_png_lmdb"))
    assert raw["records"] == png["records"] == 700
    assert raw["per_label"] == png["per_label"]
    assert raw["sizes"] == png["sizes"] == {"1 x 48 x 48": 700}
    assert (raw["encodings"], png["encodings"]) == ({"raw": 700}, {"png": 700})
    assert raw["first_key"] == "00000000_/test/4/33922.png"
    assert raw["problems"] == png["problems"] == []
    assert inspect(tmp_path / "img_test_lmdb" / "data.mdb")["records"] == 700


def test_every_place_of_damage_is_survived(stripes_data: Path, tmp_path: Path) -> None:
    """Bytes are overwritten all over a foreign database; nothing but one clear error may come of it."""
    original = (stripes_data / "val_lmdb" / "data.mdb").read_bytes()
    path = tmp_path / "db" / "data.mdb"
    path.parent.mkdir()
    random = np.random.default_rng(0)
    refused = 0
    heads = 4096 * random.integers(0, len(original) // 4096, 100) + random.integers(0, 40, 100)
    for place in [*heads, *random.integers(0, len(original), 50)]:
        content = bytearray(original)
        content[place : place + 8] = random.bytes(8)
        path.write_bytes(content)
        try:
            inspect(path.parent, verify=True)
        except FerLmdbError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 20


def test_records_of_every_kind() -> None:
    color = cv2.imencode(".jpg", np.zeros((5, 7, 3), np.uint8))[1].tobytes()
    assert facts_of(pl.Datum(encoded=True, data=color, label=3).SerializeToString()).size == "3 x 5 x 7"
    assert facts_of(pl.Datum(encoded=True, data=color).SerializeToString()).encoding == "jpeg"
    assert facts_of(pl.Datum(channels=3, height=2, width=2, data=bytes(12)).SerializeToString()).problem is None
    assert facts_of(b"\xff\xff").problem == "is not a Datum"
    assert facts_of(pl.Datum(encoded=True, data=b"x").SerializeToString()).problem == "its picture cannot be decoded"
    assert facts_of(pl.Datum(channels=1, height=2, width=2, data=b"x").SerializeToString()).problem is not None
    assert facts_of(pl.Datum(channels=0, height=2, width=2).SerializeToString()).problem is not None


def test_a_truncated_database(stripes_data: Path, tmp_path: Path) -> None:
    path = tmp_path / "db" / "data.mdb"
    path.parent.mkdir()
    path.write_bytes((stripes_data / "val_lmdb" / "data.mdb").read_bytes()[:50_000])
    with pytest.raises(StoreError, match="is damaged"):
        inspect(path.parent)


# ------------------------------------------------------------------ Caffe's files


def test_mean(stripes_data: Path, tmp_path: Path) -> None:
    document = inspect(stripes_data / "mean.binaryproto", verify=True)
    assert (document["shape"], document["problems"]) == ([1, 48, 48], [])
    for value, message in ((np.nan, "no numbers"), (300, "expected 0 to 255")):
        pl.write_mean(np.full((1, 3, 3), value, np.float32), tmp_path / "bad.binaryproto")
        assert message in problems(tmp_path / "bad.binaryproto")


def test_net(tmp_path: Path) -> None:
    document = inspect("face_emotion_net" if not models.list_pretrained() else NET / "train_val.prototxt", verify=True)
    assert (document["what"], document["problems"], document["pure_caffe"]) == ("net", [], True)
    test = document["phases"]["TEST"]
    assert (test["parameters"], test["multiply_adds"]) == (5_452_711, 18_465_920)
    rows = {row["name"]: row for row in test["layers"]}
    assert rows["pool3"]["top_shapes"][0][1:] == (64, 5, 5)
    assert set(document["phases"]) == {"TRAIN", "TEST"}
    json.dumps(document)


def test_solver() -> None:
    document = inspect(NET / "solver.prototxt", verify=True)
    assert document["what"] == "solver"
    assert document["fields"]["base_lr"] == 0.01
    assert document["rates"]["0"] == pytest.approx(0.01)
    assert document["rates"]["75999"] == pytest.approx(0.0001)


def test_a_solver_under_another_name(tmp_path: Path) -> None:
    shutil.copy(NET / "solver.prototxt", tmp_path / "recipe.prototxt")
    assert inspect(tmp_path / "recipe.prototxt")["what"] == "solver"


def test_a_broken_prototxt(tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text('layer { name: "a" kernal_size: 3 }')
    with pytest.raises(PrototxtLikeError, match=r"net.prototxt:1:\d+"):
        inspect(tmp_path / "net.prototxt")


def test_caffemodel(shared: Path, tmp_path: Path) -> None:
    path = tmp_path / "init.caffemodel"
    path.write_bytes(lzma.decompress((shared / "golden" / "caffe" / "init.caffemodel.xz").read_bytes()))
    document = inspect(path, verify=True)
    assert (document["parameters"], document["problems"]) == (5_452_711 + 259, [])
    blob = next(row for row in document["blobs"] if row["name"] == "fc3/0")
    assert (blob["shape"], blob["type"]) == ([7, 1024], "InnerProduct")
    message = pl.read_net(path)
    message.layer[1].blobs[0].data[0] = np.nan
    path.write_bytes(message.SerializeToString())
    assert "conv1/0 holds values that are no numbers" in problems(path)


# ------------------------------------------------------------------ models and runs


def test_run_and_model(trained) -> None:
    folder = trained.run.path
    document = inspect(folder, verify=True)
    assert (document["kind"], document["epochs"], document["problems"]) == ("run", 3, [])
    model = inspect(folder / "best.safetensors", verify=True)
    assert (model["kind"], model["problems"]) == ("model", [])
    assert model["classes"][3] == "happy"
    json.dumps(model)


def test_damaged_model(trained, tmp_path: Path) -> None:
    model = models.load_model(trained.run.path / "best.safetensors")
    name, blob = next((name, blob) for name, blob in model.weights.items() if blob.ndim == 2)
    broken = torch.full_like(blob, torch.nan)
    models.replace(model, weights={**model.weights, name: broken}).save(tmp_path / "nan.safetensors")
    assert f"{name} holds values that are no numbers" in problems(tmp_path / "nan.safetensors")
    models.replace(model, weights={**model.weights, name: blob[:, :-1]}).save(tmp_path / "cut.safetensors")
    assert name in problems(tmp_path / "cut.safetensors")


# ------------------------------------------------------------------ drawing and names


def test_images(stripes_data: Path, tmp_path: Path) -> None:
    draw("data set", stripes_data, tmp_path / "data.png")
    draw("mean", stripes_data / "mean.binaryproto", tmp_path / "mean.png")
    draw("database", stripes_data / "val_lmdb", tmp_path / "faces.png")
    assert cv2.imread(str(tmp_path / "mean.png")).shape == (384, 384, 3)
    assert cv2.imread(str(tmp_path / "faces.png")).shape == (232, 768, 3)
    mean = pl.read_mean(stripes_data / "mean.binaryproto")
    drawn = cv2.imread(str(tmp_path / "mean.png"), cv2.IMREAD_GRAYSCALE)[::8, ::8]
    np.testing.assert_array_equal(drawn, np.rint(mean[0]))


@pytest.mark.parametrize("name", ["train_val.prototxt", "deploy.prototxt"])
def test_drawing_of_a_net(tmp_path: Path, name: str) -> None:
    draw("prototxt", NET / name, tmp_path / "net.svg")
    words = "".join(ElementTree.parse(tmp_path / "net.svg").getroot().itertext())
    assert "conv1" in words and "fc3" in words


@pytest.mark.parametrize(("kind", "out"), [("mean", "a.svg"), ("prototxt", "a.png"), ("run", "a.png")])
def test_images_that_there_are_not(tmp_path: Path, kind: str, out: str) -> None:
    with pytest.raises(SourceError):
        draw(kind, tmp_path, tmp_path / out)


def test_unknown_things(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("")
    for path, message in (
        (tmp_path / "nowhere", "there is no"),
        (tmp_path, "holds none of"),
        (tmp_path / "a.txt", "unknown kind"),
    ):
        with pytest.raises(SourceError, match=message):
            inspect(path)
