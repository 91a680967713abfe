"""Video writer: H.264 or VP8 files that browsers play, with the audio of a source video.

PyAV instead of OpenCV, whose wheels have either encoders that browsers do not play or encoders that take a quarter of a
second per frame.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import cv2
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from fer_lmdb.errors import ImageError
from fer_lmdb.io.audio import AudioCopier
from fer_lmdb.io.container import reason
from fer_lmdb.io.images import printable_path
from fer_lmdb.io.marks import MARK
from fer_lmdb.io.streaming import StreamingFile
from fer_lmdb.io.video import DEFAULT_RATE
from fer_lmdb.runtime.signals import uninterrupted

_CONTAINERS = {".mp4": "mp4", ".m4v": "ipod", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
WRITABLE_VIDEO_SUFFIXES = frozenset(_CONTAINERS)
_TIME_BASE = Fraction(1, 90_000)
_H264_ENCODERS = ("libx264", "libopenh264", "h264_videotoolbox", "h264_mf")
# Fast presets: inference takes most of the time, and both share two cores.
_ENCODER_OPTIONS = {
    "libx264": {"preset": "superfast", "crf": "22"},
    "libvpx": {"deadline": "realtime", "cpu-used": "8", "crf": "10", "b": "4M"},
}
FRAMES_PER_RESERVE, BYTES_PER_RESERVE = 50_000, 4 << 20
"""Space kept for the index at the end of the file; it takes up to 60 bytes per frame with its audio."""


class VideoWriter:
    """Context manager that writes frames to a video: VP8 for .webm, else H.264.

    The file grows as `NAME.partial`. It has its own name and is playable after the context, also if that ends by an
    error, a signal or a full disk. Without a frame no file is written.

    Args:
        path: Target; .mp4, .m4v, .mov, .mkv or .webm. Its folder is created.
        rate: Nominal frames per second; the times of the frames are exact.
        audio_from: Video whose audio is copied.

    Attributes:
        frames: Number of frames written.

    Raises:
        ImageError: If the extension is unknown, or the file cannot be written.
        OutputError: If another process is writing the file.
    """

    def __init__(self, path: Path, rate: Fraction | float = DEFAULT_RATE, audio_from: Path | None = None) -> None:
        self.path, self.name = path, printable_path(path)
        codec = _encoder_for(path)
        self._file, self._output = self._open_output()
        self._output.metadata["comment"] = MARK
        fraction = Fraction(rate).limit_denominator(1001)
        stream: Any = self._output.add_stream(codec, rate=fraction, options=_ENCODER_OPTIONS.get(codec, {}))
        self._stream = stream
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.time_base = _TIME_BASE
        self._audio_error: str | None = None
        self._audio = self._open_audio(audio_from)
        self._size: tuple[int, int] | None = None
        self.frames = 0
        self._last_pts = -1

    def _open_output(self) -> tuple[StreamingFile, Any]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = StreamingFile(self.path, reserve=True)
            container = _CONTAINERS[self.path.suffix.lower()]
            return file, av.open(file, "w", container, options={"movflags": "faststart"})
        except OSError as error:
            raise ImageError(f"{self.name}: cannot be written: {reason(error)}") from error

    def _open_audio(self, source: Path | None) -> AudioCopier | None:
        try:
            return None if source is None else AudioCopier(source, self._output, self.path.suffix)
        except (FFmpegError, ValueError) as error:
            self._audio_error = f"it cannot be copied: {reason(error)}"
            return None

    @property
    def audio_note(self) -> str | None:
        """Reason for missing audio in one line; None if it was copied or the source has none."""
        return self._audio.skip_reason if self._audio else self._audio_error

    def add(self, image: NDArray[np.uint8], time_s: float) -> None:
        """Append a frame; if its size differs from the first frame's, it is letterboxed.

        Args:
            image: (H, W, 3) uint8 RGB.
            time_s: Presentation time in seconds.

        Raises:
            ImageError: If the file cannot be written.
        """
        self._check_space()
        if self._size is None:
            self._size = (image.shape[1] + image.shape[1] % 2, image.shape[0] + image.shape[0] % 2)  # even for H.264
            self._stream.width, self._stream.height = self._size
        frame = av.VideoFrame.from_ndarray(letterbox(image, *self._size), format="rgb24")
        self._last_pts = frame.pts = max(self._last_pts + 1, round(time_s / _TIME_BASE))
        frame.time_base = _TIME_BASE
        self._mux(frame)
        self.frames += 1
        if self._audio:
            self._checked(self._audio.write_until, time_s)
        if self.frames % FRAMES_PER_RESERVE == 0:
            self._file.extend_reserve(BYTES_PER_RESERVE)
        self._check_space()

    def _check_space(self) -> None:
        if self._file.is_full:
            raise ImageError(f"{self.name}: no space left on the disk; the video ends after {self.frames} frames")

    def _mux(self, frame: Any) -> None:
        self._checked(lambda: self._output.mux(self._stream.encode(frame)))

    def _checked(self, write: Callable[..., object], *arguments: object) -> None:
        try:
            write(*arguments)
        except (FFmpegError, OSError) as error:
            raise ImageError(f"{self.name}: cannot be written: {reason(error)}") from error

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with uninterrupted():
            try:
                if self.frames:
                    self._mux(None)
                    if self._audio:
                        self._checked(self._audio.finish, None if error is None else self._last_pts * float(_TIME_BASE))
                self._close()
            except BaseException:
                self._file.abandon()
                raise
            if self.frames:
                self._file.commit()
            else:
                self._file.discard()

    def _close(self) -> None:
        if self._audio:
            self._audio.close()
        self._checked(self._output.close)


def letterbox(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Fit an image into a size without distortion.

    Args:
        image: (H, W, 3) uint8.
        width: Width of the result in pixels.
        height: Height of the result in pixels.

    Returns:
        (height, width, 3) uint8. The border is black, or repeats the edge if it is one pixel wide.
    """
    rows, columns = image.shape[:2]
    if abs(columns - width) > 1 or abs(rows - height) > 1:
        scale = min(width / columns, height / rows)
        size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        rows, columns = image.shape[:2]
    below, right = height - rows, width - columns
    if (below, right) == (0, 0):
        return np.ascontiguousarray(image)
    mode = cv2.BORDER_REPLICATE if max(below, right) <= 1 else cv2.BORDER_CONSTANT
    borders = (below // 2, below - below // 2, right // 2, right - right // 2)
    return np.asarray(cv2.copyMakeBorder(image, *borders, mode), np.uint8)


def _encoder_for(path: Path) -> str:
    name, suffix = printable_path(path), path.suffix.lower()
    if suffix not in _CONTAINERS:
        known = " ".join(sorted(_CONTAINERS))
        raise ImageError(f'{name}: cannot write a video with the extension "{path.suffix}"; use one of {known}')
    encoders = ("libvpx",) if suffix == ".webm" else _H264_ENCODERS
    for codec in encoders:
        if codec in av.codecs_available:
            return codec
    raise ImageError(f"{name}: this PyAV has none of the encoders {', '.join(encoders)}; reinstall av with pip")
