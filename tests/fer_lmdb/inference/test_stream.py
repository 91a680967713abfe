"""Pictures in batches: same results as one by one, errors where they belong, constant memory."""

from __future__ import annotations

import os
import weakref
from pathlib import Path

import numpy as np
import pytest

from fer_lmdb.errors import DetectorError
from fer_lmdb.inference import InputFile, predict_images
from fer_lmdb.inference import images as stage
from fer_lmdb.io.images import write_image
from fer_lmdb.results import FacePrediction


class OneFaceEach:
    """Stands in for a recogniser: a face whose score is the first pixel."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.alive: list[weakref.ref[np.ndarray]] = []
        self.most_alive = 0

    def predict_many(self, images: list[np.ndarray]) -> list[list[FacePrediction]]:
        self.batches.append(len(images))
        self.alive += map(weakref.ref, images)
        self.most_alive = max(self.most_alive, sum(image() is not None for image in self.alive))
        if any(image[0, 0, 0] == 13 for image in images):
            raise DetectorError("13 brings bad luck")
        return [[FacePrediction((0, 0, 1, 1), int(image[0, 0, 0]), None, "happy", {"happy": 1.0})] for image in images]


def files(folder: Path, values: list[int], side: int = 8) -> list[InputFile]:
    paths = [folder / f"{at}.png" for at in range(len(values))]
    for path, value in zip(paths, values, strict=True):
        write_image(path, np.full((side, side, 3), value, np.uint8))
    return [InputFile(path, Path(path.name)) for path in paths]


def test_results_come_in_order_and_in_batches(tmp_path: Path) -> None:
    recognizer = OneFaceEach()
    seen = list(predict_images(files(tmp_path, list(range(14, 84))), recognizer))
    assert [one.prediction.faces[0].score for one in seen] == list(range(14, 84))
    assert recognizer.batches == [32, 32, 6]
    assert seen[3].prediction.to_dict()["path"] == str(tmp_path / "3.png")


def test_large_images_make_small_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "BATCH_PIXELS", 100)
    recognizer = OneFaceEach()
    list(predict_images(files(tmp_path, [1] * 5), recognizer))
    assert recognizer.batches == [2, 2, 1]


def test_broken_files_are_rows_among_the_others(tmp_path: Path) -> None:
    found = files(tmp_path, [1, 2, 3])
    found[1].path.write_bytes(b"rubbish")
    found.insert(0, InputFile(tmp_path / "gone.jpg", Path("gone.jpg")))
    found.append(InputFile(Path("http://x"), Path("http://x"), "http://x: is a web address"))
    documents = [seen.prediction.to_dict() for seen in predict_images(found, OneFaceEach())]
    assert [document["error"] is None for document in documents] == [False, True, False, True, False]
    assert "gone.jpg: does not exist" in documents[0]["error"]
    assert "1.png: is not an image" in documents[2]["error"]
    assert documents[2] | {"path": "", "error": ""} == {"path": "", "width": 0, "height": 0, "faces": [], "error": ""}
    assert documents[4]["error"] == "http://x: is a web address"


def test_an_image_that_the_detector_refuses_does_not_take_the_others_along(tmp_path: Path) -> None:
    seen = list(predict_images(files(tmp_path, [12, 13, 14]), OneFaceEach()))
    assert [len(one.prediction.faces) for one in seen] == [1, 0, 1]
    assert seen[1].prediction.error == f"{tmp_path}/1.png: 13 brings bad luck"


def test_memory_does_not_grow_with_the_number_of_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "BATCH_IMAGES", 4)
    recognizer = OneFaceEach()
    for _ in predict_images(files(tmp_path, [1] * 60, side=4), recognizer):
        pass
    assert recognizer.most_alive <= 3 * 4


def test_names_that_are_no_utf8(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png"))
    (seen,) = predict_images([InputFile(path, Path(path.name))], OneFaceEach())
    assert seen.prediction.path.endswith("caf\\xe9.png")
    assert str(seen.prediction.error).encode()


def test_an_error_of_ours_is_not_swallowed(tmp_path: Path) -> None:
    class Broken(OneFaceEach):
        def predict_many(self, images: list[np.ndarray]) -> list[list[FacePrediction]]:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(predict_images(files(tmp_path, [1, 2]), Broken()))
