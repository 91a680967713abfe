"""A split cut into shards is the very one that is not cut: same records, order and digest, for every reader."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fer_lmdb.data import manifest as manifests
from fer_lmdb.data.build import BuildOptions, build
from fer_lmdb.data.dataset import DataSet
from fer_lmdb.data.sources.ferplus import FerPlusSource, VoteRow
from fer_lmdb.errors import DataSetError
from fer_lmdb.inspection.duplicates import audit
from fer_lmdb.inspection.inspect import inspect

sys.path.insert(0, str(Path(__file__).parent))
from noise import AS_THEY_ARE, Noise

COUNTS = {"train": 103, "val": 12, "test": 3}
PLAIN = BuildOptions(AS_THEY_ARE)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    build(Noise(counts=COUNTS), tmp_path_factory.mktemp("whole") / "data", PLAIN)
    return tmp_path_factory.getbasetemp() / "whole0" / "data"


@pytest.fixture(scope="module")
def cut(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("cut") / "data"
    build(Noise(counts=COUNTS), folder, replace(PLAIN, shards=5))
    return folder


def test_layout_and_digests(whole: Path, cut: Path) -> None:
    names = sorted(path.name for path in cut.iterdir() if path.is_dir())
    assert names[-5:] == [f"val_lmdb-{number:05d}-of-00005" for number in range(5)]
    assert [name for name in names if "test" in name] == [f"test_lmdb-{number:05d}-of-00003" for number in range(3)]
    expected, found = manifests.read_manifest(whole)["splits"], manifests.read_manifest(cut)["splits"]
    for split in COUNTS:
        assert found[split]["sha256"] == expected[split]["sha256"]
        assert sum(shard["count"] for shard in found[split]["shards"]) == COUNTS[split]
    assert [shard["count"] for shard in found["train"]["shards"]] == [21, 21, 21, 20, 20]
    assert (cut / "mean.binaryproto").read_bytes() == (whole / "mean.binaryproto").read_bytes()


@pytest.mark.parametrize("split", COUNTS)
def test_read_as_one(whole: Path, cut: Path, split: str) -> None:
    expected, found = DataSet.open(whole).read(split), DataSet.open(cut).read(split)
    assert found.keys == expected.keys
    np.testing.assert_array_equal(found.images, expected.images)
    np.testing.assert_array_equal(found.labels, expected.labels)


def test_streamed_as_one(whole: Path, cut: Path) -> None:
    positions = np.random.default_rng(0).permutation(115)
    expected, found = DataSet.open(whole), DataSet.open(cut)
    np.testing.assert_array_equal(found.labels(["train", "val"]), expected.labels(["train", "val"]))
    faces = [data.lmdb_faces(["train", "val"]).at(positions) for data in (expected, found)]
    np.testing.assert_array_equal(*faces)


def test_inspected_and_audited_as_one(whole: Path, cut: Path) -> None:
    assert inspect(cut, verify=True)["problems"] == []
    assert audit(cut) == audit(whole)


def test_votes_stay_whole(tmp_path: Path) -> None:
    rows = [VoteRow(sample.split, "", tuple(range(10))) for sample in Noise(counts=COUNTS)]
    build(FerPlusSource(Noise(counts=COUNTS), rows), tmp_path / "data", replace(PLAIN, shards=4))
    assert (tmp_path / "data" / "train_votes_lmdb" / "data.mdb").is_file()
    assert inspect(tmp_path / "data", verify=True)["problems"] == []


@pytest.mark.parametrize("harm", ["missing", "swapped", "flipped"])
def test_a_harmed_shard_is_named(tmp_path: Path, harm: str) -> None:
    build(Noise(counts=COUNTS), tmp_path / "data", replace(PLAIN, shards=2))
    first, second = (tmp_path / "data" / f"train_lmdb-{number:05d}-of-00002" / "data.mdb" for number in (0, 1))
    if harm == "missing":
        second.unlink()
    elif harm == "swapped":
        first.rename(tmp_path / "kept")
        second.rename(first)
        (tmp_path / "kept").rename(second)
    else:
        content = bytearray(second.read_bytes())
        content[9000] ^= 1
        second.write_bytes(content)
    with pytest.raises(DataSetError, match=r"train_lmdb-0000[01]-of-00002"):
        DataSet.open(tmp_path / "data").read("train")
    assert any("train_lmdb-0000" in problem for problem in inspect(tmp_path / "data", verify=True)["problems"])


@pytest.mark.parametrize("shards", [[], [{}], [{"count": 103}], [{"count": 5, "file_sha256": "x"}], "x", [3]])
def test_a_manifest_that_lies_about_shards(cut: Path, tmp_path: Path, shards: object) -> None:
    document = manifests.read_manifest(cut)
    document["splits"]["train"]["shards"] = shards
    manifests.write_manifest(tmp_path, document)
    with pytest.raises(DataSetError, match="train lacks its count or digest"):
        DataSet.open(tmp_path)
