"""Annotated copies, face crops and the CSV file."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fer_lmdb.errors import ImageError, OutputError
from fer_lmdb.inference.inputs import InputFile
from fer_lmdb.inference.writers import AnnotatedWriter, CropWriter, CsvWriter, crop
from fer_lmdb.io.images import read_image, write_image
from fer_lmdb.results import FacePrediction, FramePrediction, ImagePrediction

FACE = FacePrediction((10.0, 20.0, 30.0, 40.0), 0.9, None, "happy", {"happy": 0.75, "sad": 0.25})


def result(
    path: Path, relative: str, faces: tuple[FacePrediction, ...] = (FACE,), write: bool = True
) -> tuple[InputFile, ImagePrediction]:
    image = np.random.default_rng(0).integers(0, 256, (90, 80, 3), dtype=np.uint8)
    if write:
        write_image(path, image)
    return InputFile(path, Path(relative)), ImagePrediction(str(path), 80, 90, faces, image=image)


def listing(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_copies_have_the_layout_of_the_inputs(tmp_path: Path) -> None:
    copies = AnnotatedWriter(tmp_path / "out", one_file=False)
    for relative in ("a.jpg", "sub/a.jpg", "sub/b.png"):
        copies.add(*result(tmp_path / "in" / relative, relative))
    assert listing(tmp_path / "out") == ["a.jpg", "sub/a.jpg", "sub/b.png"]
    assert read_image(tmp_path / "out" / "sub" / "b.png").shape[0] >= 400


def test_equal_names_do_not_overwrite_each_other(tmp_path: Path) -> None:
    copies = AnnotatedWriter(tmp_path / "out", one_file=False)
    for folder in ("x", "y", "z"):
        copies.add(*result(tmp_path / folder / "a.jpg", "a.jpg"))
    assert listing(tmp_path / "out") == ["a-2.jpg", "a-3.jpg", "a.jpg"]


def test_formats_that_cannot_be_written_become_png(tmp_path: Path) -> None:
    AnnotatedWriter(tmp_path / "out", one_file=False).add(*result(tmp_path / "a.avif", "a.avif", write=False))
    assert listing(tmp_path / "out") == ["a.png"]


def test_one_file(tmp_path: Path) -> None:
    AnnotatedWriter(tmp_path / "new" / "one.webp", one_file=True).add(*result(tmp_path / "a.jpg", "a.jpg"))
    assert listing(tmp_path / "new") == ["one.webp"]


@pytest.mark.parametrize("one_file", [True, False])
def test_the_input_is_never_overwritten(tmp_path: Path, one_file: bool) -> None:
    image = result(tmp_path / "a.png", "a.png")
    before = (tmp_path / "a.png").read_bytes()
    target = tmp_path / "a.png" if one_file else tmp_path
    with pytest.raises(OutputError, match=r"a\.png: would overwrite an input file"):
        AnnotatedWriter(target, one_file).add(*image)
    assert (tmp_path / "a.png").read_bytes() == before


def test_unreadable_images_are_skipped(tmp_path: Path) -> None:
    file = InputFile(tmp_path / "a.png", Path("a.png"))
    AnnotatedWriter(tmp_path / "out", one_file=False).add(file, ImagePrediction("a.png", 0, 0, (), "broken"))
    assert not (tmp_path / "out").exists()


def test_crops_are_numbered(tmp_path: Path) -> None:
    other = FacePrediction((50.0, 50.0, 10.0, 10.0), 0.8, None, "sad", {"happy": 0.2, "sad": 0.8})
    crops, (file, prediction) = CropWriter(tmp_path / "crops"), result(tmp_path / "a.jpg", "sub/a.jpg", (FACE, other))
    crops.add(file, prediction)
    crops.add(file, FramePrediction("a.jpg", 20, 0.8, (replace(FACE, id=7),), image=prediction.image))
    assert listing(tmp_path / "crops") == ["sub/a-000020-7.png", "sub/a-1.png", "sub/a-2.png"]
    assert read_image(tmp_path / "crops" / "sub" / "a-2.png").shape == (14, 14, 3)


@pytest.mark.parametrize(
    ("box", "shape"),
    [
        ((10.0, 20.0, 30.0, 40.0), (56, 46)),
        ((-20.0, -20.0, 30.0, 30.0), (16, 16)),
        ((70.0, 80.0, 50.0, 50.0), (20, 20)),
        ((500.0, 500.0, 5.0, 5.0), (1, 1)),
        ((-500.0, 20.0, 5.0, 5.0), (7, 1)),
    ],
)
def test_crops_stay_inside_the_image(box: tuple[float, float, float, float], shape: tuple[int, int]) -> None:
    image = np.zeros((90, 80, 3), np.uint8)
    assert crop(image, FacePrediction(box, 1.0, None, "happy", {"happy": 1.0})).shape[:2] == shape


def test_the_table_has_a_row_per_face_and_one_for_none(tmp_path: Path) -> None:
    path = tmp_path / "new" / "faces.csv"
    table = CsvWriter(path, ["happy", "sad"])
    moving = replace(FACE, id=6, unsmoothed_probabilities={"happy": 0.5, "sad": 0.5})
    table.add(FramePrediction('odd, "name".mp4', 3, 0.12, (replace(FACE, id=5), moving)))
    table.add(ImagePrediction("none.jpg", 80, 90, ()))
    table.add(ImagePrediction("broken.jpg", 0, 0, (), "broken.jpg: is damaged"))
    table.add(ImagePrediction("two.jpg", 80, 90, (FACE, FACE)))
    table.close()
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows[1:4]] == ['odd, "name".mp4', "none.jpg", "broken.jpg"]
    assert rows[1] == {
        "path": 'odd, "name".mp4',
        "frame": "3",
        "time_s": "0.12",
        "face": "6",
        "x": "10.0",
        "y": "20.0",
        "width": "30.0",
        "height": "40.0",
        "score": "0.9",
        "expression": "happy",
        "happy": "0.75",
        "sad": "0.25",
        "detected": "True",
        "unsmoothed_happy": "0.5",
        "unsmoothed_sad": "0.5",
        "error": "",
    }
    assert [row["face"] for row in rows] == ["5", "6", "", "", "1", "2"]
    assert [row["frame"] for row in rows] == ["3", "3", "", "", "", ""]
    assert rows[3]["error"] == "broken.jpg: is damaged"


def test_a_table_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="cannot be written: Is a directory"):
        CsvWriter(tmp_path, ["happy"])
