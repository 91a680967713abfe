"""Source images of a data set and the contact sheet."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from fer_lmdb.data import detections
from fer_lmdb.data.build import BuildOptions, build
from fer_lmdb.data.dataset import DataSet
from fer_lmdb.data.sources import Sample
from fer_lmdb.data.sources.fer2013 import Fer2013Csv
from fer_lmdb.errors import DataSetError, SourceError
from fer_lmdb.faces.preprocessing import Preprocessing
from fer_lmdb.io.images import write_image
from fer_lmdb.labels import FER2013
from fer_lmdb.reporting.contact_section import contact, train_detections
from fer_lmdb.reporting.source_images import check_source, find_source, name_of, read_source_images


def images_of(csv: Path) -> dict[str, np.ndarray]:
    return {item.name: item.image for item in Fer2013Csv(csv) if isinstance(item, Sample)}


@pytest.fixture(scope="module")
def data_set(drawn_data) -> DataSet:
    return DataSet.open(drawn_data)


@pytest.fixture(scope="module")
def sheet(data_set, drawn_csv):
    return contact(data_set, data_set.read("train"), drawn_csv, seed=0)


def test_name_of_a_record() -> None:
    assert name_of({"key": "00000012_/train/3/00041.png"}) == "/train/3/00041.png"
    assert name_of({"key": None, "name": "/train/3/00041.png"}) == "/train/3/00041.png"


def test_images_of_a_csv(data_set, drawn_csv) -> None:
    expected = images_of(drawn_csv)
    names = list(expected)[3:50:11]
    found = read_source_images(drawn_csv, names)
    assert set(found) == set(names)
    for name in names:
        np.testing.assert_array_equal(found[name], expected[name])


def test_other_or_missing_csv_is_rejected(data_set, drawn_csv, tmp_path) -> None:
    other = tmp_path / "other.csv"
    other.write_text(drawn_csv.read_text() + drawn_csv.read_text().splitlines()[1])
    with pytest.raises(SourceError, match="not the source of this data set"):
        check_source(other, data_set.manifest)
    with pytest.raises(SourceError, match=r"gone\.csv not found"):
        check_source(tmp_path / "gone.csv", data_set.manifest)


@pytest.mark.parametrize("layout", ["split", "cut", "train only"])
def test_images_of_a_folder(layout: str, tmp_path, drawn_csv) -> None:
    root = tmp_path / "photos"
    classes = FER2013.classes
    for number, (name, image) in enumerate(images_of(drawn_csv).items()):
        split, label = name.split("/")[1:3]
        above = {"split": Path(split), "cut": Path(), "train only": Path("train")}[layout]
        write_image(root / above / classes[int(label)] / f"{number}.png", image)
    build(root, tmp_path / "data", options=BuildOptions(Preprocessing(detector="none"), seed=3))
    keys = DataSet.open(tmp_path / "data").read("val").keys
    found = read_source_images(root, [name_of({"key": key}) for key in keys])
    for key, face in zip(keys, DataSet.open(tmp_path / "data").read("val").images[:, 0], strict=True):
        np.testing.assert_array_equal(found[name_of({"key": key})][:, :, 0], face)
    with pytest.raises(SourceError, match="contains none of the images"):
        read_source_images(root, ["/val/happy/nowhere.png"])
    assert check_source(root, {}) == root


def test_source_beside_the_data_set_must_match(data_set, drawn_csv, tmp_path) -> None:
    assert find_source(data_set.folder, data_set.manifest) is None
    shutil.copy(drawn_csv, tmp_path / "drawn.csv")
    assert find_source(tmp_path / "data", data_set.manifest) == tmp_path / "drawn.csv"
    (tmp_path / "drawn.csv").write_text("something else")
    assert find_source(tmp_path / "data", data_set.manifest) is None


def test_contact_sheet_shows_source_images_of_each_class(sheet, data_set) -> None:
    assert [group.title for group in sheet.groups] == [*data_set.scheme.classes, "no face found"]
    found = data_set.manifest["splits"]["train"]["detected"]
    assert sum(len(group.tiles) for group in sheet.groups) >= min(found, 30)
    assert all(tile.image.shape == (112, 224, 3) for group in sheet.groups[:-1] for tile in group.tiles)
    assert "The images are from drawn.csv." in sheet.caption
    assert sheet.sheet.ndim == 3


def test_contact_sheet_without_source(sheet, data_set) -> None:
    alone = contact(data_set, data_set.read("train"), None, seed=0)
    assert "reconstructed from the aligned faces" in alone.caption
    one, other = alone.groups[0].tiles[0].image, sheet.groups[0].tiles[0].image
    np.testing.assert_array_equal(one[:, 112:], other[:, 112:])  # same face
    assert (one[:, :112] != other[:, :112]).any()  # other image


def test_dropped_images_are_shown_from_the_source(tmp_path, drawn_csv) -> None:
    folder = tmp_path / "data"
    build(Fer2013Csv(drawn_csv), folder, options=BuildOptions(Preprocessing(threshold=0.999), on_no_face="drop"))
    data_set = DataSet.open(folder)
    dropped = data_set.manifest["splits"]["train"]["dropped"]
    assert dropped > 0
    sheet = contact(data_set, data_set.read("train"), drawn_csv, seed=0)
    assert sheet.groups[-1].title == "no face found, dropped"
    assert len(sheet.groups[-1].tiles) == min(dropped, 12)


def test_no_contact_sheet_without_a_detector(stripes_data) -> None:
    with pytest.raises(DataSetError, match="--detector none"):
        train_detections(DataSet.open(stripes_data), 150)


@pytest.mark.parametrize("text", [None, "{", "{}\n", "[3]\n"])
def test_damaged_detections(text: str | None, drawn_data, tmp_path) -> None:
    folder = shutil.copytree(drawn_data, tmp_path / "data")
    path = folder / detections.FILE_NAME
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(DataSetError, match=r"detections\.jsonl( is missing|:1: damaged: )"):
        train_detections(DataSet.open(folder), 42)


def test_detections_of_another_data_set(drawn_data, tmp_path) -> None:
    folder = shutil.copytree(drawn_data, tmp_path / "data")
    path = folder / detections.FILE_NAME
    records = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(record) + "\n" for record in records[1:]))
    with pytest.raises(DataSetError, match="found 41, expected 42"):
        train_detections(DataSet.open(folder), 42)
