"""Reading of data sets, and errors if parts are missing or damaged."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from fer_lmdb.data.build import build
from fer_lmdb.data.build.join import join
from fer_lmdb.data.dataset import DataSet
from fer_lmdb.data.sources.synthetic import write_synthetic_csv
from fer_lmdb.errors import DataSetError
from fer_lmdb.faces.preprocessing import Preprocessing


@pytest.fixture
def copy(stripes_data: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(stripes_data, tmp_path / "data"))


def flip(path: Path, offset: int) -> None:
    content = bytearray(path.read_bytes())
    content[offset] ^= 0x10
    path.write_bytes(content)


def change_manifest(folder: Path, **entries: object) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


def test_an_intact_data_set(stripes_data: Path) -> None:
    dataset = DataSet.open(stripes_data)
    faces = dataset.read("val")
    assert faces.images.shape == (40, 1, 48, 48)
    assert dataset.count("val") == len(faces.labels) == 40
    np.testing.assert_allclose(dataset.mean()[0], dataset.read("train").images.mean(axis=(0, 1)), rtol=1e-5)


@pytest.mark.parametrize("fraction", [0.001, 0.02, 0.1, 0.37, 0.5, 0.73, 0.999])
def test_flipped_bits_in_a_database(copy: Path, fraction: float) -> None:
    path = copy / "val_lmdb" / "data.mdb"
    flip(path, int(fraction * path.stat().st_size))
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
    with pytest.raises(DataSetError, match="no val split; expected one of: train, test"):
        DataSet.open(copy).read("val")
    (copy / "test_lmdb" / "data.mdb").unlink()
    with pytest.raises(DataSetError, match=r"cannot read .*test_lmdb/data.mdb"):
        DataSet.open(copy).read("test")


def test_swapped_databases(copy: Path) -> None:
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


def test_a_missing_manifest_or_one_of_another_format(copy: Path) -> None:
    change_manifest(copy, format="something else")
    with pytest.raises(DataSetError, match="format: found 'something else', expected 'fer-lmdb data set 1'"):
        DataSet.open(copy)
    (copy / "manifest.json").unlink()
    with pytest.raises(DataSetError, match="the names of its 7 classes are unknown"):  # as in a folder of Caffe's tools
        DataSet.open(copy)


def test_a_wrong_count_in_the_manifest(copy: Path) -> None:
    splits = json.loads((copy / "manifest.json").read_text())["splits"]
    splits["val"]["count"] = 41
    change_manifest(copy, splits=splits)
    with pytest.raises(DataSetError, match="found 40 faces, expected 41"):
        DataSet.open(copy).read("val")


def test_mixed_preprocessing_is_detected_in_nested_joins(stripes_data: Path, copy: Path, tmp_path: Path) -> None:
    closer = Preprocessing(detector="mtcnn", margin=-0.08).to_dict()
    wider = Preprocessing(detector="mtcnn").to_dict()
    other = Path(shutil.copytree(stripes_data, tmp_path / "other"))
    third = Path(shutil.copytree(stripes_data, tmp_path / "third"))
    for folder, preprocessing in ((copy, wider), (other, closer), (third, wider)):
        change_manifest(folder, preprocessing=preprocessing)
    join([copy, other], tmp_path / "two")
    join([tmp_path / "two", third], tmp_path / "three")
    join([copy, third], tmp_path / "alike")
    join([tmp_path / "alike", third], tmp_path / "all_alike")
    mixed = {
        name: DataSet.open(tmp_path / name).has_mixed_preprocessing
        for name in ("data", "two", "three", "alike", "all_alike")
    }
    assert mixed == {"data": False, "two": True, "three": True, "alike": False, "all_alike": False}


def test_a_split_as_a_torch_dataset(stripes_data: Path) -> None:
    data = DataSet.open(stripes_data)
    expected, faces = data.read("val"), data.as_torch("val")
    assert len(faces) == 40
    assert faces[3][0].dtype == torch.uint8
    assert np.array_equal(faces[-1][0], expected.images[-1])
    with pytest.raises(IndexError, match="40 is out of range for 40 faces"):
        faces[40]
    scaled = data.as_torch("val", transform=lambda image: image.float() / 255)
    loader = torch.utils.data.DataLoader(scaled, batch_size=16, num_workers=2, multiprocessing_context="fork")
    batches = list(loader)
    assert np.array_equal(torch.cat([labels for _, labels in batches]), expected.labels)
    np.testing.assert_allclose(torch.cat([images for images, _ in batches]) * 255, expected.images, rtol=1e-6)
    assert np.array_equal(pickle.loads(pickle.dumps(faces))[5][0], expected.images[5])


def test_a_data_set_as_plain_values_and_in_a_notebook(stripes_data: Path) -> None:
    data = DataSet.open(stripes_data)
    assert data.to_dict()["folder"] == str(stripes_data)
    assert json.loads(json.dumps(data.to_dict()))["splits"]["val"]["count"] == 40
    assert "<th>happy</th>" in data._repr_html_() and "<td>40</td>" in data._repr_html_()


def test_build_takes_paths_and_single_options(tmp_path: Path) -> None:
    write_synthetic_csv(tmp_path / "faces.csv", train=14, val=7, test=7)
    settings = {"detector": "none", "size": 32, "label_scheme": "merged", "encoding": "png"}
    data = build(tmp_path / "faces.csv", str(tmp_path / "data"), **settings)
    assert data.preprocessing == Preprocessing(detector="none", size=32)
    assert (data.scheme.name, data.manifest["encoding"]) == ("merged", "png")
    assert DataSet.open(tmp_path / "data").manifest == data.manifest
    with pytest.raises(TypeError, match='unknown build option "sise"; expected one of: align'):
        build(tmp_path / "faces.csv", tmp_path / "other", sise=32)


def test_old_names_in_a_manifest_are_read(copy: Path) -> None:
    old = json.loads((copy / "manifest.json").read_text())
    old["on_miss"], old["encode"] = old.pop("on_no_face"), old.pop("encoding")
    for counts in old["splits"].values():
        counts["kept_unaligned"], counts["left_out"] = counts.pop("unaligned"), counts.pop("unlabeled")
    expected = DataSet.open(copy).manifest
    (copy / "manifest.json").write_text(json.dumps(old))
    assert DataSet.open(copy).manifest == expected
