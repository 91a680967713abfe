"""Folders of databases that Caffe's tools wrote, without a manifest."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import numpy as np
import pytest

import prototxt_like as pl
from fer_lmdb.data.build.join import join
from fer_lmdb.data.caffe_folder import open_caffe_folder
from fer_lmdb.data.dataset import DataSet
from fer_lmdb.errors import DataSetError, SourceError
from fer_lmdb.inspection.inspect import inspect
from fer_lmdb.labels import FER2013, scheme_of
from prototxt_like.io.datum_store import LmdbWriter, encode_datum

NAMES = "cat,dog,owl"


def write_database(path: Path, count: int, channels: int = 1, size: int = 8, first: int = 0) -> Path:
    """Write random images with the labels 0, 1, 2 in turn."""
    images = np.random.default_rng(count).integers(0, 256, (count, channels, size, size), dtype=np.uint8)
    with LmdbWriter(path) as writer:
        for number, image in enumerate(images):
            writer.append(f"{number}.jpg", image, first + number % 3)
    return path


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (["ilsvrc12_train_lmdb", "ilsvrc12_val_lmdb"], {"train", "val"}),
        (["img_train_lmdb", "img_test_lmdb"], {"train", "test"}),
        (["Training-DB", "validation.db", "testing"], {"train", "val", "test"}),
    ],
)
def test_the_split_is_a_part_of_the_name(tmp_path: Path, names: list[str], splits: set[str]) -> None:
    for name in names:
        write_database(tmp_path / name, 3)
    assert set(open_caffe_folder(str(tmp_path)).databases) == splits


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a_train_lmdb", "b_train_lmdb"], "two databases of the train split, a_train_lmdb and b_train_lmdb"),
        (["train_val_lmdb"], "the split is ambiguous: found train and val"),
        (["faces", "trainval_lmdb"], "found faces, trainval_lmdb, expected train, val or test"),
    ],
)
def test_an_ambiguous_split_is_an_error(tmp_path: Path, names: list[str], message: str) -> None:
    for name in names:
        write_database(tmp_path / name, 3)
    with pytest.raises(DataSetError, match=f"{message}.*name the databases: --data train=A"):
        open_caffe_folder(str(tmp_path))


def test_a_folder_is_a_data_set_and_stays_as_it_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_database(tmp_path / "x_train_lmdb", 9)
    write_database(tmp_path / "x_val_lmdb", 4)
    write_database(tmp_path / "features", 2)
    mean = np.arange(64, dtype=np.float32).reshape(1, 8, 8)
    pl.write_mean(mean, tmp_path / "x_mean.binaryproto")
    before = digests(tmp_path)
    data = DataSet.open(tmp_path, NAMES)
    assert data.scheme.classes == ("cat", "dog", "owl")
    assert (data.count("train"), data.count("val"), data.channels) == (9, 4, 1)
    assert data.manifest["splits"]["train"]["per_class"] == {"cat": 3, "dog": 3, "owl": 3}
    np.testing.assert_array_equal(data.mean(), mean)
    assert data.read("val").images.shape == (4, 1, 8, 8)
    assert data.labels(["train", "val"]).tolist() == [0, 1, 2] * 3 + [0, 1, 2, 0]
    assert digests(tmp_path) == before
    assert "not used: features" in caplog.text


def test_train_and_test_alone_are_train_and_validation(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_database(tmp_path / "train_lmdb", 9)
    write_database(tmp_path / "test_lmdb", 4)
    with caplog.at_level(logging.WARNING):
        data = DataSet.open(tmp_path, NAMES)
    assert (data.count("val"), data.count("test")) == (4, 0)
    assert "serves as validation; nothing is left for a final result" in caplog.text


def test_databases_are_named_one_by_one(tmp_path: Path) -> None:
    train, val = write_database(tmp_path / "a", 6, channels=3), write_database(tmp_path / "b", 3, channels=3)
    pl.write_mean(np.ones((3, 8, 8), np.float32), tmp_path / "m.binaryproto")
    data = DataSet.open(f"train={train},val={val},mean={tmp_path / 'm.binaryproto'}", NAMES)
    assert (data.count("train"), data.count("val"), data.channels) == (6, 3, 3)
    assert data.preprocessing.channel_order == "bgr"
    with pytest.raises(DataSetError, match=r"train=.*nowhere is not a database"):
        DataSet.open(f"train={tmp_path / 'nowhere'}", NAMES)
    with pytest.raises(DataSetError, match='invalid data set: found "dev=x"'):
        DataSet.open(f"train={train},dev=x", NAMES)


def test_without_a_mean_the_train_split_is_averaged(tmp_path: Path) -> None:
    write_database(tmp_path / "train_lmdb", 6, channels=3)
    data = DataSet.open(tmp_path, NAMES)
    expected = data.read("train").images.astype(np.int64).sum(axis=0).astype(np.float32) / np.float32(6)
    np.testing.assert_array_equal(data.mean(), expected)


def test_several_means(tmp_path: Path) -> None:
    write_database(tmp_path / "train_lmdb", 6)
    for name, value in (("train_mean", 1), ("test_mean", 2)):
        pl.write_mean(np.full((1, 8, 8), value, np.float32), tmp_path / f"{name}.binaryproto")
    assert DataSet.open(tmp_path, NAMES).mean().max() == 1
    (tmp_path / "train_mean.binaryproto").rename(tmp_path / "other.binaryproto")
    with pytest.raises(DataSetError, match=r"has 2 mean images, other.* and test_mean.*; name one"):
        DataSet.open(tmp_path, NAMES)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, "names of its 3 classes are unknown; pass them in label order with --labels"),
        ("cat,dog", "invalid label: found 2, expected 0 to 1; pass all 3 class names"),
        ("cat,dog,cat", 'the name "cat" repeats'),
        ("cat", "cannot read the class names in cat"),
    ],
)
def test_labels_are_checked(tmp_path: Path, labels: str | None, message: str) -> None:
    write_database(tmp_path / "train_lmdb", 6)
    with pytest.raises((DataSetError, SourceError), match=message):
        DataSet.open(tmp_path, labels)


def test_class_names_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("n01 cat, tabby\nn02 dog\n\n", encoding="utf-8")
    assert scheme_of(str(tmp_path / "words.txt")).classes == ("n01 cat, tabby", "n02 dog")
    assert scheme_of(",".join(FER2013.classes)) is FER2013
    assert scheme_of("ferplus").name == "ferplus"


def test_the_model_of_an_evaluation_provides_the_labels(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_database(tmp_path / "val_lmdb", 6)
    assert DataSet.open(tmp_path, assumed=scheme_of(NAMES)).scheme.classes == ("cat", "dog", "owl")
    assert "the labels are assumed to be cat, dog, owl" in caplog.text


def test_images_that_do_not_fit_together(tmp_path: Path) -> None:
    write_database(tmp_path / "train_lmdb", 6, channels=3)
    write_database(tmp_path / "val_lmdb", 3, channels=1)
    with pytest.raises(DataSetError, match=r"val_lmdb does not fit .*train_lmdb: found 1 x 8 x 8, expected 3 x 8 x 8"):
        DataSet.open(tmp_path, NAMES)


def test_inspect_describes_the_folder(tmp_path: Path) -> None:
    write_database(tmp_path / "train_lmdb", 6, channels=3)
    found = inspect(tmp_path, verify=True)
    assert found["kind"] == "data set"
    assert (found["channels"], found["size"], found["classes"]) == (3, 8, ["0", "1", "2"])
    assert found["problems"] == []


def test_a_leveldb_is_a_database_like_any_other(tmp_path: Path) -> None:
    plyvel = pytest.importorskip("plyvel")
    base = plyvel.DB(str(tmp_path / "x_train_leveldb"), create_if_missing=True)
    for number in range(6):
        base.put(b"%08d_a" % number, encode_datum(np.full((8, 8), number, np.uint8), number % 3))
    base.close()
    before = digests(tmp_path)
    data = DataSet.open(tmp_path, NAMES)
    assert data.read("train").images[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4, 5]
    assert inspect(tmp_path / "x_train_leveldb")["records"] == 6
    assert digests(tmp_path) == before


def test_join_accepts_folders_of_caffe(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_database(tmp_path / name / "train_lmdb", 6, channels=3)
    joined = join([tmp_path / "one", tmp_path / "two"], tmp_path / "out", labels=NAMES)
    assert (joined.count("train"), joined.channels) == (12, 3)
    assert DataSet.open(tmp_path / "out").read("train").images.shape == (12, 3, 8, 8)
