"""Images in batches: same results as one by one, errors per image, constant memory."""

from __future__ import annotations

import os
import weakref
from pathlib import Path

import numpy as np
import pytest

from fer_lmdb.errors import DetectorError
from fer_lmdb.inference import images as stage
from fer_lmdb.inference.images import predict_images
from fer_lmdb.inference.inputs import InputFile
from fer_lmdb.io.images import write_image
from fer_lmdb.results import FacePrediction


class OneFaceEach:
    """Fake recognizer that returns one face whose score is the first pixel."""

    color = "rgb"

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.alive: list[weakref.ref[np.ndarray]] = []
        self.most_alive = 0

    def predict_many(self, images: list[np.ndarray], *, color: str) -> list[list[FacePrediction]]:
        self.batches.append(len(images))
        self.alive += map(weakref.ref, images)
        self.most_alive = max(self.most_alive, sum(image() is not None for image in self.alive))
        if any(image[0, 0, 0] == 13 for image in images):
            raise DetectorError("13 is not supported")
        return [[FacePrediction((0, 0, 1, 1), int(image[0, 0, 0]), None, "happy", {"happy": 1.0})] for image in images]


def files(folder: Path, values: list[int], side: int = 8) -> list[InputFile]:
    paths = [folder / f"{at}.png" for at in range(len(values))]
    for path, value in zip(paths, values, strict=True):
        write_image(path, np.full((side, side, 3), value, np.uint8))
    return [InputFile(path, Path(path.name)) for path in paths]


def test_results_are_in_order_and_computed_in_batches(tmp_path: Path) -> None:
    recognizer = OneFaceEach()
    results = list(predict_images(files(tmp_path, list(range(14, 84))), recognizer))
    assert [one.faces[0].score for one in results] == list(range(14, 84))
    assert recognizer.batches == [32, 32, 6]
    assert results[3].to_dict()["path"] == str(tmp_path / "3.png")


def test_large_images_make_small_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "BATCH_PIXELS", 100)
    recognizer = OneFaceEach()
    list(predict_images(files(tmp_path, [1] * 5), recognizer))
    assert recognizer.batches == [2, 2, 1]


def test_broken_files_are_results_among_the_others(tmp_path: Path) -> None:
    found = files(tmp_path, [1, 2, 3])
    found[1].path.write_bytes(b"rubbish")
    found.insert(0, InputFile(tmp_path / "gone.jpg", Path("gone.jpg")))
    found.append(InputFile(Path("http://x"), Path("http://x"), "http://x: is a URL"))
    documents = [result.to_dict() for result in predict_images(found, OneFaceEach())]
    assert [document["error"] is None for document in documents] == [False, True, False, True, False]
    assert "gone.jpg: does not exist" in documents[0]["error"]
    assert "1.png: is not an image" in documents[2]["error"]
    assert documents[2] | {"path": "", "error": ""} == {"path": "", "width": 0, "height": 0, "faces": [], "error": ""}
    assert documents[4]["error"] == "http://x: is a URL"


def test_an_image_that_the_detector_rejects_does_not_fail_the_others(tmp_path: Path) -> None:
    results = list(predict_images(files(tmp_path, [12, 13, 14]), OneFaceEach()))
    assert [len(one.faces) for one in results] == [1, 0, 1]
    assert results[1].error == f"{tmp_path}/1.png: 13 is not supported"


def test_memory_does_not_grow_with_the_number_of_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "BATCH_IMAGES", 4)
    recognizer = OneFaceEach()
    for _ in predict_images(files(tmp_path, [1] * 60, side=4), recognizer):
        pass
    assert recognizer.most_alive <= 3 * 4


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png"))
    (result,) = predict_images([InputFile(path, Path(path.name))], OneFaceEach())
    assert result.path.endswith("caf\\xe9.png")
    assert str(result.error).encode()


def test_unexpected_errors_are_raised(tmp_path: Path) -> None:
    class Broken(OneFaceEach):
        def predict_many(self, images: list[np.ndarray], *, color: str) -> list[list[FacePrediction]]:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(predict_images(files(tmp_path, [1, 2]), Broken()))
