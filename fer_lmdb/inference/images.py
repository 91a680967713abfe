"""Inference on any number of images in constant memory: images are prefetched and processed in batches."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from fer_lmdb.errors import FerLmdbError, ImageError
from fer_lmdb.inference.inputs import InputFile, find_files
from fer_lmdb.inference.recognizer import Recognizer
from fer_lmdb.io.image_source import ImageSource, check_is_sequence, load_image
from fer_lmdb.io.images import IMAGE_SUFFIXES, printable_path, read_image
from fer_lmdb.io.pixels import ColorOrder
from fer_lmdb.results import FacePrediction, ImagePrediction
from fer_lmdb.runtime.background import prefetch
from fer_lmdb.runtime.executors import Executor, SerialExecutor

BATCH_IMAGES = 32
BATCH_PIXELS = 16_000_000
"""Limits of a batch; it ends at the first one that is reached. Two batches are in memory at a time."""

Pixels = NDArray[np.uint8]
Path = str | os.PathLike[str]
Source = TypeVar("Source", bound=InputFile | Pixels)


def predict_images(
    images: Path | Iterable[ImageSource | InputFile],
    recognizer: Recognizer | None = None,
    *,
    executor: Executor | None = None,
    keep_images: bool = True,
) -> Iterator[ImagePrediction]:
    """Predict images one after the other; a file that cannot be read is a result with an error.

    Args:
        images: Paths, folders (searched recursively) or patterns of image files, or images in the other forms that
            `Recognizer.predict` takes; one path or several.
        recognizer: Recognizer; None loads the default model.
        executor: Executor that runs the recognizer; None runs it in this process.
        keep_images: Return the pixels in `ImagePrediction.image`; pass False to collect many results in a list.

    Returns:
        Iterator of one result per image, in order.

    Raises:
        TypeError: If `images` is a single array or not iterable.
        ImageError: If dtype or shape of an array are not supported.
    """
    if isinstance(images, str | os.PathLike):
        images = [images]
    check_is_sequence(images, "predict_images")
    recognizer = recognizer or Recognizer()
    sources = _sources(images, recognizer.color)
    predictions = (prediction for _, prediction in predict_sources(sources, recognizer, executor))
    return predictions if keep_images else (replace(prediction, image=None) for prediction in predictions)


def predict_sources(
    sources: Iterable[Source], recognizer: Recognizer, executor: Executor | None = None
) -> Generator[tuple[Source, ImagePrediction]]:
    """Yield each input file or (H, W, 3) uint8 RGB array with its prediction, in order.

    Args:
        sources: Input files or arrays.
        recognizer: Recognizer.
        executor: Executor that runs the recognizer; None runs it in this process.
    """
    work = partial(_predict, recognizer=recognizer)
    for batch, results in (executor or SerialExecutor()).map(work, prefetch(_batches(sources)), _readable):
        remaining = iter(results)
        for source, pixels in batch:
            yield source, _to_prediction(source, pixels, pixels if isinstance(pixels, str) else next(remaining))


def to_json_path(path: Path) -> str:
    """Return a path for results; bytes that are not valid UTF-8 are escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _sources(images: Iterable[ImageSource | InputFile], color: ColorOrder) -> Iterator[InputFile | Pixels]:
    for image in images:
        if isinstance(image, InputFile):
            yield image
        elif isinstance(image, str | os.PathLike):
            yield from find_files([os.fspath(image)], suffixes=IMAGE_SUFFIXES)
        else:
            yield load_image(image, color)


def _readable(batch: list[tuple[Source, Pixels | str]]) -> list[Pixels]:
    """Return the images of a batch that could be read."""
    return [pixels for _, pixels in batch if not isinstance(pixels, str)]


def _to_prediction(
    source: InputFile | Pixels, pixels: Pixels | str, result: list[FacePrediction] | str
) -> ImagePrediction:
    path = to_json_path(source.path) if isinstance(source, InputFile) else ""
    if isinstance(pixels, str):
        return ImagePrediction(path, 0, 0, (), error=pixels)
    if isinstance(result, str):
        name = printable_path(source.path) if isinstance(source, InputFile) else "array"
        return ImagePrediction(path, 0, 0, (), error=f"{name}: {result}")
    return ImagePrediction(path, pixels.shape[1], pixels.shape[0], tuple(result), image=pixels)


def _predict(images: list[Pixels], recognizer: Recognizer) -> list[list[FacePrediction] | str]:
    """Predict a batch; after an error one by one, so that one bad image does not fail the others."""
    try:
        return list(recognizer.predict_many(images, color="rgb"))
    except FerLmdbError as error:
        if len(images) == 1:
            return [str(error)]
        return [result for image in images for result in _predict([image], recognizer)]


def _batches(sources: Iterable[Source]) -> Iterator[list[tuple[Source, Pixels | str]]]:
    """Read images and yield them in lists of limited size; an unreadable image is replaced by its error message."""
    batch: list[tuple[Source, Pixels | str]] = []
    size = 0
    for source in sources:
        pixels = _read(source)
        batch.append((source, pixels))
        size += 0 if isinstance(pixels, str) else pixels.shape[0] * pixels.shape[1]
        if len(batch) == BATCH_IMAGES or size >= BATCH_PIXELS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _read(source: InputFile | Pixels) -> Pixels | str:
    if not isinstance(source, InputFile):
        return source
    try:
        return source.error or read_image(source.path)
    except ImageError as error:
        return str(error)
