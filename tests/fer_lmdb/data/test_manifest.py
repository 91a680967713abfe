"""Reading of manifests."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from fer_lmdb.data.manifest import FORMAT, read_manifest, verify_sha256, write_manifest
from fer_lmdb.errors import DataSetError

SPLIT = {"count": 3, "file_sha256": "0"}
GOOD = {
    "format": FORMAT,
    "classes": ["a"],
    "size": 48,
    "seed": 0,
    "preprocessing": {},
    "splits": {"train": SPLIT},
    "mean": {"sha256": "0" * 64},
}


def edited(**changes: object) -> bytes:
    return json.dumps(GOOD | changes).encode()


def test_round_trip(tmp_path: Path) -> None:
    write_manifest(tmp_path, GOOD)
    assert read_manifest(tmp_path) == GOOD


def test_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(DataSetError, match=r"is not a data set: .*fer-lmdb build"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "damaged: "),
        (b"{", "damaged: "),
        (b"\xff\xfe", "damaged: 'utf-8'"),
        (b"[1, 2]", r"the object: found \[1, 2\], expected an object"),
        (b"{}", "format: found none, expected one"),
        (edited(format="fer-lmdb data set 99"), "format: found 'fer-lmdb data set 99', expected 'fer-lmdb data set 1'"),
        (json.dumps({"format": FORMAT, "size": 48}).encode(), "classes: found none, expected one"),
        (edited(splits=[1]), r"splits: found \[1\], expected an object"),
        (edited(splits={"../x": SPLIT}), r"splits.../x.\[key\]: found '../x', expected 'train', 'val' or 'test'"),
        (edited(splits={"train": {"count": "3"}}), "splits.train.count: found '3', expected an integer"),
        (edited(splits={"train": {"count": 3}}), "splits.train: found .*, expected a split with either file_sha256 or"),
        (edited(splits={"train": {"count": -3}}), "splits.train.count: found -3, expected at least 0"),
        (edited(splits={"train": {"count": 10**300}}), "splits.train.count: found 1000"),
        (edited(splits={"train": {"count": 3, "shards": [{"count": 2, "file_sha256": "0"}]}}), "with 3 faces in all"),
        (edited(classes=[1]), "classes.0: found 1, expected a text"),
        (edited(classes=["a", "b", "a"]), r'classes: found .*, expected unique names, but "a" is repeated'),
        (edited(classes=[]), r"classes: found \[\], expected at least 1 item"),
        (edited(preprocessing={"margin": 1e9}), "preprocessing: found .*invalid margin: found 1000000000.0"),
        (edited(preprocessing={"margin": "x"}), "preprocessing: found .*invalid margin: found 'x', expected a number"),
        (edited(size=True), "size: found True, expected an integer"),
        (edited(mean={}), "mean.sha256: found none, expected one"),
        (edited(source={"joined": [3]}), "source.joined.0: found 3, expected an object"),
        (b'{"size": 48, "size": 47}', 'found the key "size" twice'),
        (json.dumps({**GOOD, "seed": float("nan")}).encode(), "found NaN, which is no number of JSON"),
        (b"[" * 100_000, "damaged: "),
    ],
)
def test_damaged(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(DataSetError, match=reason) as failure:
        read_manifest(tmp_path)
    assert "\n" not in str(failure.value) and str(failure.value).endswith("; build the data set again")


def test_a_file_is_compared_with_its_digest(tmp_path: Path) -> None:
    path = tmp_path / "mean.binaryproto"
    path.write_bytes(b"mean")
    verify_sha256(path, hashlib.sha256(b"mean").hexdigest())
    path.write_bytes(b"meaN")
    with pytest.raises(DataSetError, match=r"mean.binaryproto is damaged: found SHA-256"):
        verify_sha256(path, hashlib.sha256(b"mean").hexdigest())
    path.unlink()
    with pytest.raises(DataSetError, match=r"cannot read .*mean.binaryproto: No such file"):
        verify_sha256(path, "")
