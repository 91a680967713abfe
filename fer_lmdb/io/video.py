"""Video reader: frames of a file or stream, one in memory at a time.

PyAV instead of OpenCV: it has the presentation time of each frame and the rotation of phone videos, and distinguishes a
damaged file from the end of a file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from types import TracebackType
from typing import Any

import numpy as np
from av.error import FFmpegError
from av.video.stream import VideoStream
from numpy.typing import NDArray

from fer_lmdb.errors import ImageError
from fer_lmdb.io.container import find_video_stream, is_cover, local_path, open_input, reason
from fer_lmdb.io.images import MAX_PIXELS, printable_path

DEFAULT_RATE = Fraction(25)
"""Frames per second of videos without a frame rate."""
MAX_PIXEL_ASPECT = 4
"""Pixels are at most this much wider or higher; a larger ratio is damaged metadata."""
_TIMEOUT_S = 10.0
_STREAM_OPTIONS = {"rtsp_transport": "tcp"}  # over UDP most cameras lose packets, which corrupts frames


@dataclass(frozen=True, eq=False)
class Frame:
    """Frame of a video.

    Attributes:
        index: Number of the frame, from 0.
        time_s: Presentation time in seconds from the first frame.
        image: (H, W, 3) uint8 RGB, upright, with square pixels.
    """

    index: int
    time_s: float
    image: NDArray[np.uint8]


class FrameSampler:
    """Choose the frames of a video at a lower rate, by their times.

    Args:
        fps: Frames per second; None chooses all.
    """

    def __init__(self, fps: float | None) -> None:
        self._step_s = 0.0 if fps is None else 1 / fps
        self._next_s = 0.0

    def takes(self, time_s: float) -> bool:
        """Return whether the frame of a time is chosen."""
        if time_s < self._next_s - 1e-6:
            return False
        missed = int((time_s - self._next_s + 1e-6) / self._step_s) if self._step_s else 0
        self._next_s += (missed + 1) * self._step_s
        return True


class VideoReader:
    """Iterable over the frames of a video file or stream.

    Args:
        source: Path or file:// address of a file, or address of a stream (rtsp://, http://).
        fps: Frames per second to return; None returns all. Skipped frames keep their index.

    Attributes:
        rate: Frames per second.
        expected: Number of frames according to the file, or None.

    Raises:
        ImageError: If the source is missing, not a video, or in an unsupported codec. During iteration: if it is
            damaged or truncated.
    """

    def __init__(self, source: str | os.PathLike[str], fps: float | None = None) -> None:
        self._sampler = FrameSampler(fps)
        self.name = printable_path(source)
        _check_exists(source, self.name)
        self._input = self._open(source)
        self._stream = self._choose_stream()
        self._stream.thread_type = "AUTO"
        rate = self._stream.average_rate or DEFAULT_RATE
        self.rate = Fraction(rate.numerator, rate.denominator)  # PyAV 19 has its own type
        self.expected = self._stream.frames or None

    def _open(self, source: str | os.PathLike[str]) -> Any:
        try:
            return open_input(source, timeout=_TIMEOUT_S, options=_STREAM_OPTIONS)
        except (FFmpegError, ValueError) as error:
            raise ImageError(f"{self.name}: cannot be read as a video: {reason(error)}") from error

    def _choose_stream(self) -> VideoStream:
        stream = find_video_stream(self._input)
        if stream is None:
            types = ", ".join(sorted({_type_of(stream) for stream in self._input.streams})) or "no streams"
            self._input.close()
            raise ImageError(f"{self.name}: is not a video: found {types}")
        if stream.codec_context is None:
            self._input.close()
            raise ImageError(f"{self.name}: is in an unsupported codec; convert it to H.264 first")
        return stream

    def __iter__(self) -> Iterator[Frame]:
        start: float | None = None
        index = -1
        try:
            for index, frame in enumerate(self._input.decode(self._stream)):
                time_s = frame.time if frame.time is not None else float(index / self.rate)
                start = time_s if start is None else start
                if self._sampler.takes(time_s - start):
                    yield Frame(index, time_s - start, self._to_image(frame))
        except FFmpegError as error:
            raise ImageError(f"{self.name}: is damaged after {index + 1} frames: {reason(error)}") from error
        self._check_complete(index + 1)

    def _to_image(self, frame: Any) -> NDArray[np.uint8]:
        if frame.width * frame.height > MAX_PIXELS:
            size = f"{frame.width} x {frame.height}"
            raise ImageError(f"{self.name}: has frames of {size}; the limit is {MAX_PIXELS / 1e6:g} million pixels")
        width, height = square_pixel_size(frame.width, frame.height, self._stream.sample_aspect_ratio)
        image: NDArray[np.uint8] = frame.to_ndarray(format="rgb24", width=width, height=height)
        turns = round(getattr(frame, "rotation", 0) / 90) % 4
        return np.ascontiguousarray(np.rot90(image, turns)) if turns else image

    def _check_complete(self, count: int) -> None:
        if count == 0:
            raise ImageError(f"{self.name}: has no frame that can be decoded")
        # The number in the file is approximate: edits and hidden frames change it by a few.
        if self.expected and count < 0.95 * self.expected - 2:
            raise ImageError(f"{self.name}: is truncated: found {count} frames, expected {self.expected}")

    def close(self) -> None:
        """Close the file or stream."""
        self._input.close()

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def square_pixel_size(width: int, height: int, aspect: Fraction | None) -> tuple[int, int]:
    """Return the size of a frame whose pixels are made square, by enlarging one side.

    Args:
        width: Width in pixels.
        height: Height in pixels.
        aspect: Width of a pixel divided by its height; None if unknown.
    """
    if not aspect or not 1 / MAX_PIXEL_ASPECT <= aspect <= MAX_PIXEL_ASPECT:
        return width, height
    size = (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))
    return size if size[0] * size[1] <= MAX_PIXELS else (width, height)


def _type_of(stream: Any) -> str:
    return "a cover image" if is_cover(stream) else str(stream.type)


def _check_exists(source: str | os.PathLike[str], name: str) -> None:
    path = local_path(source)
    if path is None:
        return
    try:
        exists = path.exists()
    except OSError as error:
        raise ImageError(f"{name}: cannot be read: {error.strerror}") from error
    if not exists:
        raise ImageError(f"{name}: does not exist")
    if path.is_dir():
        raise ImageError(f"{name}: is a folder; expected a video")
    if not path.is_file():
        raise ImageError(f"{name}: is a pipe, socket or device; expected a video")
    if path.stat().st_size == 0:
        raise ImageError(f"{name}: is empty (0 bytes); expected a video")
