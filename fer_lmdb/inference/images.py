"""Predict any number of picture files in constant memory: read ahead, find and classify in batches."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from fer_lmdb.errors import FerLmdbError, ImageError
from fer_lmdb.inference.inputs import InputFile
from fer_lmdb.inference.recognizer import Recognizer
from fer_lmdb.io.images import printable_path, read_image
from fer_lmdb.results import FacePrediction, ImagePrediction
from fer_lmdb.runtime.background import prefetch
from fer_lmdb.runtime.executors import Executor, SerialExecutor

BATCH_IMAGES = 32
BATCH_PIXELS = 16_000_000
"""A batch ends when it holds this many pictures or pixels, whichever comes first; two batches are held at a time."""


@dataclass(frozen=True, eq=False)
class ImageResult:
    """One file and what was seen in it.

    Attributes:
        found: the file.
        prediction: what `--json` prints.
        image: (H, W, 3) uint8 RGB, None where the file could not be read.
    """

    found: InputFile
    prediction: ImagePrediction
    image: NDArray[np.uint8] | None


def predict_images(
    files: Iterable[InputFile], recognizer: Recognizer, executor: Executor | None = None
) -> Iterator[ImageResult]:
    """Yield one result for every file, in order; a file that cannot be read is a result with its error.

    Args:
        files: pictures; see `find_files`.
        recognizer: who finds and classifies the faces.
        executor: where this is done; None for this process.
    """
    work = partial(_predict, recognizer=recognizer)
    for batch, predicted in (executor or SerialExecutor()).map(work, prefetch(_batches(files)), _images_of):
        results = iter(predicted)
        for found, image in batch:
            yield (
                ImageResult(found, _row(found, image, ()), None)
                if isinstance(image, str)
                else _to_result(found, image, next(results))
            )


def _images_of(batch: list[tuple[InputFile, NDArray[np.uint8] | str]]) -> list[NDArray[np.uint8]]:
    """Return what of a batch could be read."""
    return [image for _, image in batch if isinstance(image, np.ndarray)]


def _to_result(found: InputFile, image: NDArray[np.uint8], result: list[FacePrediction] | str) -> ImageResult:
    if isinstance(result, str):
        return ImageResult(found, _row(found, f"{printable_path(found.path)}: {result}", ()), None)
    return ImageResult(found, _row(found, image, tuple(result)), image)


def _row(found: InputFile, image: NDArray[np.uint8] | str, faces: tuple[FacePrediction, ...]) -> ImagePrediction:
    path = to_json_path(found.path)
    if isinstance(image, str):
        return ImagePrediction(path, 0, 0, (), error=image)
    return ImagePrediction(path, image.shape[1], image.shape[0], faces)


def to_json_path(path: str | os.PathLike[str]) -> str:
    """Return a file's name for results: as it is; bytes that are no UTF-8 are escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _predict(images: list[NDArray[np.uint8]], recognizer: Recognizer) -> list[list[FacePrediction] | str]:
    """Predict a batch; where it fails, one by one, so that one odd picture does not take the others along."""
    try:
        return list(recognizer.predict_many(images))
    except FerLmdbError as error:
        if len(images) == 1:
            return [str(error)]
        return [result for image in images for result in _predict([image], recognizer)]


def _batches(files: Iterable[InputFile]) -> Iterator[list[tuple[InputFile, NDArray[np.uint8] | str]]]:
    """Read files and yield them in lists of limited size; a reason stands where a picture could not be read."""
    batch: list[tuple[InputFile, NDArray[np.uint8] | str]] = []
    pixels = 0
    for found in files:
        image = _read(found)
        batch.append((found, image))
        pixels += 0 if isinstance(image, str) else image.shape[0] * image.shape[1]
        if len(batch) == BATCH_IMAGES or pixels >= BATCH_PIXELS:
            yield batch
            batch, pixels = [], 0
    if batch:
        yield batch


def _read(found: InputFile) -> NDArray[np.uint8] | str:
    try:
        return found.error or read_image(found.path)
    except ImageError as error:
        return str(error)
