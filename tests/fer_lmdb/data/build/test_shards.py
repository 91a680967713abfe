"""Shards have the records, order and digest of the unsharded split, for all readers."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fer_lmdb.data.build import BuildOptions, build
from fer_lmdb.data.dataset import DataSet
from fer_lmdb.data.manifest import read_manifest, write_manifest
from fer_lmdb.data.sources.ferplus import FerPlusSource, VoteRow
from fer_lmdb.errors import DataSetError
from fer_lmdb.inspection.duplicates import audit
from fer_lmdb.inspection.inspect import inspect

sys.path.insert(0, str(Path(__file__).parent))
from noise import UNALIGNED, Noise

COUNTS = {"train": 103, "val": 12, "test": 3}
PLAIN = BuildOptions(UNALIGNED)


@pytest.fixture(scope="module")
def unsharded(tmp_path_factory) -> Path:
    build(Noise(counts=COUNTS), tmp_path_factory.mktemp("unsharded") / "data", options=PLAIN)
    return tmp_path_factory.getbasetemp() / "unsharded0" / "data"


@pytest.fixture(scope="module")
def sharded(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sharded") / "data"
    build(Noise(counts=COUNTS), folder, options=replace(PLAIN, shards=5))
    return folder


def test_layout_and_digests(unsharded: Path, sharded: Path) -> None:
    names = sorted(path.name for path in sharded.iterdir() if path.is_dir())
    assert names[-5:] == [f"val_lmdb-{number:05d}-of-00005" for number in range(5)]
    assert [name for name in names if "test" in name] == [f"test_lmdb-{number:05d}-of-00003" for number in range(3)]
    expected, found = read_manifest(unsharded)["splits"], read_manifest(sharded)["splits"]
    for split in COUNTS:
        assert found[split]["sha256"] == expected[split]["sha256"]
        assert sum(shard["count"] for shard in found[split]["shards"]) == COUNTS[split]
    assert [shard["count"] for shard in found["train"]["shards"]] == [21, 21, 21, 20, 20]
    assert (sharded / "mean.binaryproto").read_bytes() == (unsharded / "mean.binaryproto").read_bytes()


@pytest.mark.parametrize("split", COUNTS)
def test_read_as_one(unsharded: Path, sharded: Path, split: str) -> None:
    expected, found = DataSet.open(unsharded).read(split), DataSet.open(sharded).read(split)
    assert found.keys == expected.keys
    np.testing.assert_array_equal(found.images, expected.images)
    np.testing.assert_array_equal(found.labels, expected.labels)


def test_streamed_as_one(unsharded: Path, sharded: Path) -> None:
    positions = np.random.default_rng(0).permutation(115)
    expected, found = DataSet.open(unsharded), DataSet.open(sharded)
    np.testing.assert_array_equal(found.labels(["train", "val"]), expected.labels(["train", "val"]))
    faces = [data.lmdb_faces(["train", "val"]).at(positions) for data in (expected, found)]
    np.testing.assert_array_equal(*faces)


def test_inspected_and_audited_as_one(unsharded: Path, sharded: Path) -> None:
    assert inspect(sharded, verify=True)["problems"] == []
    assert audit(sharded) == audit(unsharded)


def test_votes_are_not_sharded(tmp_path: Path) -> None:
    rows = [VoteRow(sample.split, "", tuple(range(10))) for sample in Noise(counts=COUNTS)]
    build(FerPlusSource(Noise(counts=COUNTS), rows), tmp_path / "data", options=replace(PLAIN, shards=4))
    assert (tmp_path / "data" / "train_votes_lmdb" / "data.mdb").is_file()
    assert inspect(tmp_path / "data", verify=True)["problems"] == []


@pytest.mark.parametrize("damage", ["missing", "swapped", "flipped"])
def test_a_damaged_shard_is_reported(tmp_path: Path, damage: str) -> None:
    build(Noise(counts=COUNTS), tmp_path / "data", options=replace(PLAIN, shards=2))
    first, second = (tmp_path / "data" / f"train_lmdb-{number:05d}-of-00002" / "data.mdb" for number in (0, 1))
    if damage == "missing":
        second.unlink()
    elif damage == "swapped":
        first.rename(tmp_path / "other")
        second.rename(first)
        (tmp_path / "other").rename(second)
    else:
        content = bytearray(second.read_bytes())
        content[9000] ^= 1
        second.write_bytes(content)
    with pytest.raises(DataSetError, match=r"train_lmdb-0000[01]-of-00002"):
        DataSet.open(tmp_path / "data").read("train")
    assert any("train_lmdb-0000" in problem for problem in inspect(tmp_path / "data", verify=True)["problems"])


@pytest.mark.parametrize("shards", [[], [{}], [{"count": 103}], [{"count": 5, "file_sha256": "x"}], "x", [3]])
def test_invalid_shards_in_the_manifest_are_rejected(sharded: Path, tmp_path: Path, shards: object) -> None:
    document = read_manifest(sharded)
    document["splits"]["train"]["shards"] = shards
    write_manifest(tmp_path, document)
    with pytest.raises(DataSetError, match=r"manifest\.json: damaged: splits\.train.*; build the data set again"):
        DataSet.open(tmp_path)
