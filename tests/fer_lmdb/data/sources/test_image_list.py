"""Image lists: labels, folders of the paths, invalid lines."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_lmdb.data.build import build
from fer_lmdb.data.sources import InvalidSample, Sample
from fer_lmdb.data.sources.image_list import ImageList
from fer_lmdb.data.sources.open import open_source
from fer_lmdb.errors import SourceError
from fer_lmdb.labels import FER2013, LABEL_ORDERS


def image(path: Path, gray: int = 100) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (9, 6), gray).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(4):
        image(tmp_path / "faces" / f"{number} a.png", number)
    return tmp_path


def write(folder: Path, *lines: str) -> Path:
    (folder / "list.txt").write_text("\n".join(lines) + "\n")
    return folder / "list.txt"


def read(source: ImageList) -> list[tuple[int, str]]:
    """Return gray value and class name of each sample."""
    items = list(source)
    assert all(isinstance(item, Sample) for item in items), items
    return [(int(item.image[0, 0, 0]), FER2013.classes[item.label]) for item in items]


def test_labels_are_class_names(folder: Path) -> None:
    source = ImageList(write(folder, "faces/0 a.png happy", "faces/3 a.png Sadness", "", "faces/1 a.png 3_happy"))
    assert read(source) == [(0, "happy"), (3, "sad"), (1, "happy")]
    assert [(item.name, item.split, item.row) for item in source] == [
        ("//happy/faces/0 a.png", "", 0),
        ("//Sadness/faces/3 a.png", "", 1),
        ("//3_happy/faces/1 a.png", "", 2),
    ]
    assert next(iter(source)).location == f"{folder}/list.txt:1: {folder}/faces/0 a.png"


def test_numbers_need_an_order(folder: Path) -> None:
    path = write(folder, "faces/0 a.png 1", "faces/1 a.png 7")
    with pytest.raises(SourceError, match=r"list.txt: the classes are numbers, .* found 1, 7, expected names; set"):
        ImageList(path)
    assert read(ImageList(path, label_order=LABEL_ORDERS["rafdb"])) == [(0, "surprise"), (1, "neutral")]
    (folder / "classes.txt").write_text(
        "angry\nsad\n2\n3\n4\n5\n6\nhappy\n".replace("\n2", "\nb").replace("\n3", "\nc")
    )
    assert read(ImageList(path)) == [(0, "sad"), (1, "happy")]


def test_folder_of_the_paths(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = write(folder, "/0 a.png happy")
    with pytest.raises(
        SourceError, match=r"the images are missing: found no /0 a.png in .* set the folder of the paths with"
    ):
        ImageList(here)
    assert read(ImageList(here, root=folder / "faces")) == [(0, "happy")]
    (folder / "lists").mkdir()
    there = write(folder / "lists", "faces/2 a.png happy")
    with pytest.raises(SourceError, match="the images are missing"):
        ImageList(there)
    monkeypatch.chdir(folder)
    assert read(ImageList(there)) == [(2, "happy")]
    assert read(ImageList(write(folder, f"{folder}/faces/1 a.png sad"))) == [(1, "sad")]


def test_invalid_lines_are_reported(folder: Path) -> None:
    os.mkfifo(folder / "pipe.png")
    lines = ["faces/0 a.png happy", "gone.png happy", "list.txt happy", "faces/0 a.png bored", "pipe.png sad"]
    reasons = {
        item.location.rsplit(": ")[0].rsplit(":")[1]: item.reason
        for item in ImageList(write(folder, *lines))
        if isinstance(item, InvalidSample)
    }
    assert reasons["2"] == "No such file or directory"
    assert reasons["3"].startswith("is not an image")
    assert reasons["4"] == f'the label "bored" is not a class of fer2013; expected one of: {", ".join(FER2013.classes)}'
    assert reasons["5"].startswith("is not a regular file")


def test_names_stay_inside_the_data_set(folder: Path) -> None:
    (folder / "lists").mkdir()
    path = write(folder / "lists", "../faces/./0 a.png happy")
    (sample,) = ImageList(path)
    assert sample.name == "//happy/faces/0 a.png"


def test_a_list_is_built_like_a_folder(folder: Path) -> None:
    path = write(folder, *(f"faces/{number} a.png {name}" for number, name in enumerate(["happy", "sad"] * 2)))
    for number in range(4):
        pixels = np.random.default_rng(number).integers(0, 256, (48, 48), np.uint8)
        Image.fromarray(pixels).save(folder / "faces" / f"{number} a.png")
    document = build(path, folder / "data", detector="none", split_ratio="50/50").manifest
    assert {split: entry["count"] for split, entry in document["splits"].items()} == {"train": 2, "val": 2}
    assert document["source"]["name"] == "list.txt"
    assert document["source"]["rows"] == 4


def test_a_root_is_for_lists_only(folder: Path) -> None:
    with pytest.raises(SourceError, match=r"is not a list of images; leave out --root"):
        open_source(folder, root=folder)


def test_files_that_are_neither_csv_nor_list(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello\n")
    with pytest.raises(SourceError, match=r"notes.txt:1: no label: found 'hello', expected a path and a label"):
        open_source(tmp_path / "notes.txt")
