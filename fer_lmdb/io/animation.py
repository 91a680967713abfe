"""Frames of animated images (GIF, WebP, APNG, AVIF) and pages of a TIFF, read like those of a video."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType

from PIL import Image

from fer_lmdb.errors import ImageError, one_line
from fer_lmdb.io.container import local_path
from fer_lmdb.io.file_kind import file_kind
from fer_lmdb.io.images import MAX_PIXELS, printable_path
from fer_lmdb.io.pillow import FORMATS, pil_to_rgb
from fer_lmdb.io.video import Frame, FrameSampler, VideoReader
from fer_lmdb.runtime.logging import silenced

DEFAULT_FRAME_S = 0.1
"""Duration in seconds of a frame without one, as in browsers."""
PAGE_S = 1.0
"""Duration in seconds of a TIFF's page, which has no time."""


class AnimationReader:
    """Iterable over the frames of an animated image or the pages of a TIFF; see `VideoReader`.

    Args:
        path: Image file.
        fps: Frames per second to return; None returns all.

    Attributes:
        rate: Frames per second of the first frame.
        expected: Number of frames.

    Raises:
        ImageError: If the file cannot be read. During iteration: if it is damaged.
    """

    def __init__(self, path: str | os.PathLike[str], fps: float | None = None) -> None:
        self._sampler = FrameSampler(fps)
        self.name = printable_path(path)
        try:
            with silenced(modules=r"PIL\."):
                self._image = Image.open(path, formats=FORMATS)
                self.expected = int(getattr(self._image, "n_frames", 1))
        except Exception as error:  # decoders raise many types of errors on damaged files
            raise ImageError(f"{self.name}: is damaged: {one_line(error)}") from error
        self.rate = Fraction(1 / self._duration()).limit_denominator(1001)

    def __iter__(self) -> Iterator[Frame]:
        time_s = 0.0
        for index in range(self.expected):
            try:
                with silenced(modules=r"PIL\."):
                    self._image.seek(index)
                    self._check_size()
                    pixels = pil_to_rgb(self._image)
            except ImageError:
                raise
            except Exception as error:
                raise ImageError(f"{self.name}: is damaged after {index} frames: {one_line(error)}") from error
            if self._sampler.takes(time_s):
                yield Frame(index, time_s, pixels)
            time_s += self._duration()

    def _duration(self) -> float:
        if self._image.format == "TIFF":
            return PAGE_S
        return float(self._image.info.get("duration") or 0) / 1000 or DEFAULT_FRAME_S

    def _check_size(self) -> None:
        width, height = self._image.size
        if width * height > MAX_PIXELS:
            size = f"{width} x {height}"
            raise ImageError(f"{self.name}: has frames of {size}; the limit is {MAX_PIXELS / 1e6:g} million pixels")

    def close(self) -> None:
        """Close the file."""
        self._image.close()

    def __enter__(self) -> AnimationReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_frames(source: str | os.PathLike[str], fps: float | None = None) -> VideoReader | AnimationReader:
    """Open a video, a stream or an animated image.

    Args:
        source: Path of a file, or address of a stream.
        fps: Frames per second to return; None returns all.

    Raises:
        ImageError: If it cannot be read.
    """
    path = local_path(source)
    is_animation = path is not None and file_kind(Path(path)) == "animation"
    return AnimationReader(path, fps) if is_animation and path is not None else VideoReader(source, fps)
