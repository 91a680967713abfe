"""Videos as a stream of pictures, in and out, one frame in memory at a time.

PyAV rather than OpenCV: it knows when each frame is shown and how a phone was held, tells a damaged file from one
that has ended, and writes H.264, which every browser plays (OpenCV's wheels only have encoders that no browser
plays, or that take a quarter of a second for a frame).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import cv2
import numpy as np
from av.error import FFmpegError
from av.video.stream import VideoStream
from numpy.typing import NDArray

from fer_lmdb.errors import ImageError
from fer_lmdb.io.atomic import AtomicFile
from fer_lmdb.io.audio import AudioCopier
from fer_lmdb.io.container import open_input
from fer_lmdb.io.images import MAX_PIXELS, printable_path

_CONTAINERS = {".mp4": "mp4", ".m4v": "ipod", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
WRITABLE_VIDEO_SUFFIXES = frozenset(_CONTAINERS)
_TIME_BASE = Fraction(1, 90_000)
_USUAL_RATE = Fraction(25)
_PATIENCE_S = 10.0
_STREAMING = {"rtsp_transport": "tcp"}  # over UDP most cameras lose so much that the picture tears
_H264 = ("libx264", "libopenh264", "h264_videotoolbox", "h264_mf")
# Quick settings: recognising takes most of the time, and two cores have to do everything.
_OPTIONS = {
    "libx264": {"preset": "superfast", "crf": "22"},
    "libvpx": {"deadline": "realtime", "cpu-used": "8", "crf": "10", "b": "4M"},
}


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of a video.

    Attributes:
        index: its number, from 0.
        time_s: when it is shown, in seconds from the beginning.
        image: (H, W, 3) uint8 RGB, upright.
    """

    index: int
    time_s: float
    image: NDArray[np.uint8]


class VideoReader:
    """Reads a video file or stream; iterate over it to get its frames.

    Args:
        source: a file, or the address of a camera's stream (rtsp://, http://).

    Raises:
        ImageError: it is missing, no video, or in a codec that cannot be read. While iterating: it is damaged, or
            ends before its end.
    """

    def __init__(self, source: str | os.PathLike[str]) -> None:
        self.name = printable_path(source)
        _check_exists(source, self.name)
        self._input = self._open(source)
        self._stream = self._choose_stream()
        self._stream.thread_type = "AUTO"
        rate = self._stream.average_rate or _USUAL_RATE
        self.rate = Fraction(rate.numerator, rate.denominator)  # PyAV 19 has a type of its own
        self.expected = self._stream.frames or None

    def _open(self, source: str | os.PathLike[str]) -> Any:
        try:
            return open_input(source, timeout=_PATIENCE_S, options=_STREAMING)
        except (FFmpegError, ValueError) as error:
            raise ImageError(f"{self.name}: cannot be read as a video: {_reason(error)}") from error

    def _choose_stream(self) -> VideoStream:
        streams = self._input.streams
        if not streams.video:
            kinds = ", ".join(sorted({stream.type for stream in streams})) or "nothing"
            self._input.close()
            raise ImageError(f"{self.name}: holds no video, only {kinds}")
        stream: VideoStream = streams.video[0]
        if stream.codec_context is None:
            self._input.close()
            raise ImageError(f"{self.name}: is in a codec that is not known here; convert it to H.264 first")
        return stream

    def __iter__(self) -> Iterator[Frame]:
        start: float | None = None
        index = -1
        try:
            for index, frame in enumerate(self._input.decode(self._stream)):
                time_s = frame.time if frame.time is not None else float(index / self.rate)
                start = time_s if start is None else start
                yield Frame(index, time_s - start, self._to_image(frame))
        except FFmpegError as error:
            raise ImageError(f"{self.name}: is damaged after {index + 1} frames: {_reason(error)}") from error
        self._check_complete(index + 1)

    def _to_image(self, frame: Any) -> NDArray[np.uint8]:
        if frame.width * frame.height > MAX_PIXELS:
            size = f"{frame.width} x {frame.height}"
            raise ImageError(f"{self.name}: has frames of {size}; the limit is {MAX_PIXELS / 1e6:g} million pixels")
        image: NDArray[np.uint8] = frame.to_ndarray(format="rgb24")
        turns = round(getattr(frame, "rotation", 0) / 90) % 4
        return np.ascontiguousarray(np.rot90(image, turns)) if turns else image

    def _check_complete(self, found: int) -> None:
        if found == 0:
            raise ImageError(f"{self.name}: holds no frame that can be decoded")
        # Containers count approximately: edits and frames that are never shown make a difference of a few.
        if self.expected and found < 0.95 * self.expected - 2:
            raise ImageError(f"{self.name}: is truncated: {found} frames can be read, it announces {self.expected}")

    def close(self) -> None:
        """Let go of the file or camera."""
        self._input.close()

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class VideoWriter:
    """Writes frames as a video that browsers play: H.264, or VP8 where the ending is .webm.

    The file appears under its name when it is complete; left by an exception, nothing remains.

    Args:
        path: the file; .mp4, .m4v, .mov, .mkv or .webm.
        rate: frames a second, for players that want a number; times are those of the frames.
        audio_from: a video whose sound goes along.

    Raises:
        ImageError: the ending is unknown, or the file cannot be written.
    """

    def __init__(self, path: Path, rate: Fraction | float = _USUAL_RATE, audio_from: Path | None = None) -> None:
        self.path, self.name = path, printable_path(path)
        codec = _encoder_for(path)
        self._file, self._output = self._open_output()
        fraction = Fraction(rate).limit_denominator(1001)
        stream: Any = self._output.add_stream(codec, rate=fraction, options=_OPTIONS.get(codec, {}))
        self._stream = stream
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.time_base = _TIME_BASE
        self._no_audio: str | None = None
        self._audio = self._open_audio(audio_from)
        self._size: tuple[int, int] | None = None
        self._last = -1

    def _open_output(self) -> tuple[AtomicFile, Any]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = AtomicFile(self.path, sync=False)
            container = _CONTAINERS[self.path.suffix.lower()]
            return file, av.open(str(file.partial), "w", container, options={"movflags": "faststart"})
        except OSError as error:
            raise ImageError(f"{self.name}: cannot be written: {_reason(error)}") from error

    def _open_audio(self, source: Path | None) -> AudioCopier | None:
        try:
            return None if source is None else AudioCopier(source, self._output, self.path.suffix)
        except (FFmpegError, ValueError) as error:
            self._no_audio = f"it cannot be carried over: {_reason(error)}"
            return None

    @property
    def audio_note(self) -> str | None:
        """Why the sound that was asked for is missing, one line; None where it is there, or the video has none."""
        return self._audio.skip_reason if self._audio else self._no_audio

    def add(self, image: NDArray[np.uint8], time_s: float) -> None:
        """Append a frame; one of another size than the first is fitted into it.

        Args:
            image: (H, W, 3) uint8 RGB.
            time_s: when it is shown, in seconds.
        """
        if self._size is None:
            self._size = (image.shape[1] + image.shape[1] % 2, image.shape[0] + image.shape[0] % 2)  # H.264 wants even
            self._stream.width, self._stream.height = self._size
        frame = av.VideoFrame.from_ndarray(letterbox(image, *self._size), format="rgb24")
        self._last = frame.pts = max(self._last + 1, round(time_s / _TIME_BASE))
        frame.time_base = _TIME_BASE
        self._mux(frame)
        if self._audio:
            self._checked(self._audio.write_until, time_s)

    def _mux(self, frame: Any) -> None:
        self._checked(lambda: self._output.mux(self._stream.encode(frame)))

    def _checked(self, write: Callable[..., object], *arguments: object) -> None:
        try:
            write(*arguments)
        except (FFmpegError, OSError) as error:
            raise ImageError(f"{self.name}: cannot be written: {_reason(error)}") from error

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._size is not None and error is None:
                self._mux(None)
                if self._audio:
                    self._checked(self._audio.finish)
            if self._audio:
                self._audio.close()
            self._output.close()
            if self._size is not None and error is None:
                self._file.commit()
        finally:
            self._file.discard()


def letterbox(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Bring a picture into a size without distorting it; what remains is black, or the edge where it is one pixel."""
    rows, columns = image.shape[:2]
    if abs(columns - width) > 1 or abs(rows - height) > 1:
        scale = min(width / columns, height / rows)
        size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        rows, columns = image.shape[:2]
    below, right = height - rows, width - columns
    if (below, right) == (0, 0):
        return np.ascontiguousarray(image)
    how = cv2.BORDER_REPLICATE if max(below, right) <= 1 else cv2.BORDER_CONSTANT
    borders = (below // 2, below - below // 2, right // 2, right - right // 2)
    return np.asarray(cv2.copyMakeBorder(image, *borders, how), np.uint8)


def _encoder_for(path: Path) -> str:
    if path.suffix.lower() not in WRITABLE_VIDEO_SUFFIXES:
        known = " ".join(sorted(WRITABLE_VIDEO_SUFFIXES))
        raise ImageError(
            f'{printable_path(path)}: cannot write a video with the ending "{path.suffix}"; use one of {known}'
        )
    wanted = ("libvpx",) if path.suffix.lower() == ".webm" else _H264
    for codec in wanted:
        if codec in av.codecs_available:
            return codec
    raise ImageError(
        f"{printable_path(path)}: this PyAV has none of the encoders {', '.join(wanted)}; reinstall av with pip"
    )


def _check_exists(source: str | os.PathLike[str], name: str) -> None:
    if "://" in os.fspath(source):
        return
    path = Path(source)
    if not path.exists():
        raise ImageError(f"{name}: does not exist")
    if path.is_dir():
        raise ImageError(f"{name}: is a folder; expected a video")
    if path.stat().st_size == 0:
        raise ImageError(f"{name}: is empty (0 bytes); expected a video")


def _reason(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error).split("\n")[0]
