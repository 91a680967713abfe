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
    "mean": {},
}


def test_round_trip(tmp_path: Path) -> None:
    write_manifest(tmp_path, GOOD)
    assert read_manifest(tmp_path) == GOOD


def test_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(DataSetError, match=r"is not a data set: .*fer-lmdb build"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is damaged"),
        (b"{", "is damaged"),
        (b"\xff\xfe", "is damaged"),
        (b"[1, 2]", 'has the format "list"'),
        (b"{}", 'has the format "None"'),
        (json.dumps({**GOOD, "format": "fer-lmdb data set 99"}).encode(), 'has the format "fer-lmdb data set 99"'),
        (json.dumps({"format": FORMAT, "size": 48}).encode(), "classes is missing"),
        (json.dumps({**GOOD, "splits": [1]}).encode(), "splits is missing or not of type dict"),
        (json.dumps({**GOOD, "splits": {"../x": SPLIT}}).encode(), 'splits has the entry "../x"'),
        (json.dumps({**GOOD, "splits": {"train": {"count": "3"}}}).encode(), "train has no count or digest"),
        (json.dumps({**GOOD, "classes": [1]}).encode(), "classes has an entry"),
        (b"[" * 100_000, "is damaged"),
    ],
)
def test_damaged(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(DataSetError, match=reason) as failure:
        read_manifest(tmp_path)
    assert "\n" not in str(failure.value)


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
