"""Images in batches: same results as one by one, errors per image, constant memory."""

from __future__ import annotations

import os
import weakref
from pathlib import Path

import numpy as np
import pytest

from fer_lmdb.errors import DetectorError, ImageError
from fer_lmdb.inference import images
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
    monkeypatch.setattr(images, "BATCH_PIXELS", 100)
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
    monkeypatch.setattr(images, "BATCH_IMAGES", 4)
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


def test_paths_folders_and_arrays(tmp_path: Path) -> None:
    first, second = (file.path for file in files(tmp_path, [1, 2]))
    (tmp_path / "clip.mp4").write_bytes(b"not an image")
    array = np.full((4, 5, 3), 7, np.uint8)
    scores = [
        [result.faces[0].score for result in predict_images(images, OneFaceEach())]
        for images in (first, [str(first), second], tmp_path, iter([array, second]), np.stack([array, array]))
    ]
    assert scores == [[1], [1, 2], [1, 2], [7, 2], [7, 7]]
    (result,) = predict_images([array[:, :, 0]], OneFaceEach())
    assert (result.path, result.width, result.height) == ("", 5, 4)


def test_bgr_arrays_become_rgb_and_files_do_not_change(tmp_path: Path) -> None:
    recognizer = OneFaceEach()
    recognizer.color = "bgr"
    array = np.zeros((4, 5, 3), np.uint8)
    array[:, :, 2] = 9  # red
    results = list(predict_images([array, files(tmp_path, [3])[0].path], recognizer))
    assert [result.faces[0].score for result in results] == [9, 3]
    assert results[0].image[0, 0].tolist() == [9, 0, 0]


def test_pixels_are_optional(tmp_path: Path) -> None:
    with_pixels, without = (list(predict_images(tmp_path, OneFaceEach(), keep_images=keep)) for keep in (True, False))
    assert with_pixels == without
    found = files(tmp_path, [1])
    assert next(predict_images(found, OneFaceEach())).image.shape == (8, 8, 3)
    assert next(predict_images(found, OneFaceEach(), keep_images=False)).image is None


def test_a_single_array_is_not_a_sequence() -> None:
    for single in (np.zeros((4, 5, 3), np.uint8), np.zeros((4, 5), np.uint8), None, 3):
        with pytest.raises(TypeError, match="predict_images expects a sequence of image"):
            predict_images(single, OneFaceEach())


def test_an_unsupported_array_is_an_error() -> None:
    with pytest.raises(ImageError, match="found float64"):
        list(predict_images([np.zeros((4, 5, 3))], OneFaceEach()))
