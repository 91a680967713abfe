"""A built data set is read, or refused when anything in it is missing, damaged or of another size."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from fer_lmdb.data.build.join import join_datasets
from fer_lmdb.data.dataset import DataSet
from fer_lmdb.errors import DataSetError
from fer_lmdb.faces.preprocessing import Preprocessing


@pytest.fixture
def copy(stripes_data: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(stripes_data, tmp_path / "data"))


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 0x10
    path.write_bytes(content)


def change_manifest(folder: Path, **entries: object) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


def test_a_whole_data_set(stripes_data: Path) -> None:
    dataset = DataSet.open(stripes_data)
    faces = dataset.read("val")
    assert faces.images.shape == (40, 1, 48, 48)
    assert dataset.count("val") == len(faces.labels) == 40
    np.testing.assert_allclose(dataset.mean()[0], dataset.read("train").images.mean(axis=(0, 1)), rtol=1e-5)


@pytest.mark.parametrize("part", [0.001, 0.02, 0.1, 0.37, 0.5, 0.73, 0.999])
def test_flipped_bits_in_a_database(copy: Path, part: float) -> None:
    path = copy / "val_lmdb" / "data.mdb"
    flip(path, int(part * path.stat().st_size))
    with pytest.raises(DataSetError, match=r"val_lmdb/data.mdb is damaged"):
        DataSet.open(copy).read("val")
    DataSet.open(copy).read("train")


@pytest.mark.parametrize("size", [0, 100, 8192, 50_000])
def test_a_truncated_database(copy: Path, size: int) -> None:
    path = copy / "val_lmdb" / "data.mdb"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(DataSetError, match=r"val_lmdb/data.mdb is damaged"):
        DataSet.open(copy).read("val")


def test_a_missing_database(copy: Path) -> None:
    shutil.rmtree(copy / "val_lmdb")
    with pytest.raises(DataSetError, match="no val split; it has train, test"):
        DataSet.open(copy).read("val")
    (copy / "test_lmdb" / "data.mdb").unlink()
    with pytest.raises(DataSetError, match=r"cannot read .*test_lmdb/data.mdb"):
        DataSet.open(copy).read("test")


def test_databases_that_changed_places(copy: Path) -> None:
    shutil.rmtree(copy / "val_lmdb")
    (copy / "test_lmdb").rename(copy / "val_lmdb")
    with pytest.raises(DataSetError, match="is damaged"):
        DataSet.open(copy).read("val")


def test_a_damaged_or_missing_mean(copy: Path) -> None:
    flip(copy / "mean.binaryproto", 500)
    with pytest.raises(DataSetError, match=r"mean.binaryproto is damaged"):
        DataSet.open(copy).mean()
    (copy / "mean.binaryproto").unlink()
    with pytest.raises(DataSetError, match=r"cannot read .*mean.binaryproto"):
        DataSet.open(copy).mean()


def test_a_missing_or_foreign_manifest(copy: Path) -> None:
    change_manifest(copy, format="something else")
    with pytest.raises(DataSetError, match='has the format "something else"'):
        DataSet.open(copy)
    (copy / "manifest.json").unlink()
    with pytest.raises(DataSetError, match="is no data set"):
        DataSet.open(copy)


def test_another_count_in_the_manifest(copy: Path) -> None:
    splits = json.loads((copy / "manifest.json").read_text())["splits"]
    splits["val"]["count"] = 41
    change_manifest(copy, splits=splits)
    with pytest.raises(DataSetError, match="holds 40 faces, the manifest says 41"):
        DataSet.open(copy).read("val")


def test_a_set_joined_from_a_joined_one_counts_all_ways(stripes_data: Path, copy: Path, tmp_path: Path) -> None:
    closer = Preprocessing(detector="mtcnn", margin=-0.08).to_dict()
    wider = Preprocessing(detector="mtcnn").to_dict()
    other = Path(shutil.copytree(stripes_data, tmp_path / "other"))
    third = Path(shutil.copytree(stripes_data, tmp_path / "third"))
    for folder, way in ((copy, wider), (other, closer), (third, wider)):
        change_manifest(folder, preprocessing=way)
    join_datasets([copy, other], tmp_path / "two")
    join_datasets([tmp_path / "two", third], tmp_path / "three")
    join_datasets([copy, third], tmp_path / "alike")
    join_datasets([tmp_path / "alike", third], tmp_path / "all_alike")
    mixed = {
        name: DataSet.open(tmp_path / name).has_mixed_preprocessing
        for name in ("data", "two", "three", "alike", "all_alike")
    }
    assert mixed == {"data": False, "two": True, "three": True, "alike": False, "all_alike": False}
