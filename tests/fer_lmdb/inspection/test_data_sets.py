"""Description and verification of data sets and databases."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

import prototxt_like as pl
from fer_lmdb.data.build import build
from fer_lmdb.data.manifest import file_sha256
from fer_lmdb.data.sources import Sample
from fer_lmdb.data.sources.ferplus import FerPlusSource, VoteRow
from fer_lmdb.errors import ERRORS, StoreError
from fer_lmdb.faces.preprocessing import Preprocessing
from fer_lmdb.inspection.databases import describe_record
from fer_lmdb.inspection.inspect import inspect
from prototxt_like.io import datum_store
from tests.archives import unpack


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


def test_intact_data_set(stripes_data: Path) -> None:
    document = inspect(stripes_data, verify=True)
    assert (document["kind"], document["problems"]) == ("data set", [])
    assert document["splits"]["val"]["count"] == 40
    assert "problems" not in inspect(stripes_data)


def test_other_records_with_a_matching_file_digest(data: Path) -> None:
    shutil.rmtree(data / "val_lmdb")
    with datum_store.LmdbWriter(data / "val_lmdb") as writer:
        for number in range(39):
            writer.append(f"/val/0/{number}.png", np.zeros((48, 47), np.uint8), number % 8)
    edit_manifest(data, "val", file_sha256=file_sha256(data / "val_lmdb" / "data.mdb"))
    found = problems(data)
    for message in (
        "val: the records differ",
        "val: contains 39 faces, the manifest states 40",
        "val: contains images of 1 x 48 x 47; expected 1 x 48 x 48",
        "val: contains the labels",
    ):
        assert message in found


def test_keys_with_wrong_numbers(data: Path) -> None:
    faces = datum_store.read_split(data / "val_lmdb")
    shutil.rmtree(data / "val_lmdb")
    with datum_store.LmdbWriter(data / "val_lmdb") as writer:
        for number in range(40):
            writer.count = number + (number > 7)
            writer.append("x", faces.images[number, 0], int(faces.labels[number]))
    facts = {"file_sha256": file_sha256(data / "val_lmdb" / "data.mdb"), "sha256": writer.sha256}
    edit_manifest(data, "val", **facts)
    assert problems(data) == "val: record 8 has the key 00000009_x"


def test_flipped_bit_missing_split_and_other_mean(data: Path) -> None:
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


def test_mean_of_other_faces(data: Path) -> None:
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


def test_votes(tmp_path: Path) -> None:
    votes = [VoteRow(sample.split, "", (9, 1, 0, 0, 0, 0, 0, 0, 0, 0)) for sample in TwoPerSplit()]
    build(FerPlusSource(TwoPerSplit(), votes, relabel=True), tmp_path / "data", detector="none", label_scheme="ferplus")
    assert problems(tmp_path / "data") == ""
    document = inspect(tmp_path / "data" / "val_votes_lmdb")
    assert document["encodings"] == {"numbers": 2}
    shutil.rmtree(tmp_path / "data" / "val_votes_lmdb")
    with datum_store.LmdbWriter(tmp_path / "data" / "val_votes_lmdb") as writer:
        writer.append_value("other", datum_store.encode_votes([1.0] * 10, 0))
    sha = file_sha256(tmp_path / "data" / "val_votes_lmdb" / "data.mdb")
    edit_manifest(tmp_path / "data", "val", votes_file_sha256=sha)
    assert problems(tmp_path / "data") == "val: votes and faces have different keys"


@pytest.mark.parametrize("damage", ["missing", "truncated", "not json"])
def test_detections(tmp_path: Path, monkeypatch, damage: str) -> None:
    class Nothing:
        def detect(self, images):
            return [[] for _ in images]

    monkeypatch.setattr(Preprocessing, "load_detector", lambda self, device: Nothing())
    build(TwoPerSplit(), tmp_path / "data")
    path = tmp_path / "data" / "detections.jsonl"
    assert problems(tmp_path / "data") == ""
    if damage == "missing":
        path.unlink()
    elif damage == "truncated":
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    else:
        path.write_text("not json\n")
    expected = {
        "missing": "detections.jsonl is missing; build the data set again",
        "truncated": "test: 1 faces are unaligned, the manifest states 2",
        "not json": "detections.jsonl:1: damaged: ",
    }[damage]
    assert problems(tmp_path / "data").startswith("detections: ")
    assert expected in problems(tmp_path / "data")


def test_databases_written_by_caffe(shared: Path, tmp_path: Path) -> None:
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


def test_damage_at_any_position_is_one_error(stripes_data: Path, tmp_path: Path) -> None:
    """Overwrite bytes all over a database; the only allowed failure is a one-line error."""
    original = (stripes_data / "val_lmdb" / "data.mdb").read_bytes()
    path = tmp_path / "db" / "data.mdb"
    path.parent.mkdir()
    random = np.random.default_rng(0)
    errors = 0
    headers = 4096 * random.integers(0, len(original) // 4096, 100) + random.integers(0, 40, 100)
    for place in [*headers, *random.integers(0, len(original), 50)]:
        content = bytearray(original)
        content[place : place + 8] = random.bytes(8)
        path.write_bytes(content)
        try:
            inspect(path.parent, verify=True)
        except ERRORS as error:
            errors += 1
            assert "\n" not in str(error)
    assert errors > 20


def test_record_encodings() -> None:
    color = cv2.imencode(".jpg", np.zeros((5, 7, 3), np.uint8))[1].tobytes()
    assert describe_record(pl.Datum(encoded=True, data=color, label=3).SerializeToString()).size == "3 x 5 x 7"
    assert describe_record(pl.Datum(encoded=True, data=color).SerializeToString()).encoding == "jpeg"
    assert describe_record(pl.Datum(channels=3, height=2, width=2, data=bytes(12)).SerializeToString()).problem is None
    assert describe_record(b"\xff\xff").problem == "is not a Datum"
    assert (
        describe_record(pl.Datum(encoded=True, data=b"x").SerializeToString()).problem == "its image cannot be decoded"
    )
    assert describe_record(pl.Datum(channels=1, height=2, width=2, data=b"x").SerializeToString()).problem is not None
    assert describe_record(pl.Datum(channels=0, height=2, width=2).SerializeToString()).problem is not None


def test_a_truncated_database(stripes_data: Path, tmp_path: Path) -> None:
    path = tmp_path / "db" / "data.mdb"
    path.parent.mkdir()
    path.write_bytes((stripes_data / "val_lmdb" / "data.mdb").read_bytes()[:50_000])
    with pytest.raises(StoreError, match="is damaged"):
        inspect(path.parent)
