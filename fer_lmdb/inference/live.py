"""Expressions live: from a camera, a network stream or a video, into a window, a file, or both."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_lmdb.errors import ImageError
from fer_lmdb.inference.recognizer import Recognizer
from fer_lmdb.inference.video import VideoRecognizer
from fer_lmdb.io.images import printable_path
from fer_lmdb.io.video import Frame, VideoReader
from fer_lmdb.results import FacePrediction, FramePrediction
from fer_lmdb.runtime.background import latest_only, prefetch
from fer_lmdb.visualization.annotate import annotate

TITLE = "fer-lmdb"
_KEYS_THAT_END = {27, ord("q")}
_CAMERAS = Path("/sys/class/video4linux")


class Camera:
    """A camera by its number; iterate over it to get its frames.

    Raises:
        ImageError: there is no such camera; the message lists those found. While iterating: it stopped.
    """

    def __init__(self, number: int) -> None:
        self.name = f"camera {number}"
        known = list_cameras()
        if known is not None and number not in known:
            raise ImageError(f"{self.name} does not exist; {_found(known)}")
        self._capture = cv2.VideoCapture(number)
        if not self._capture.isOpened():
            self.close()
            raise ImageError(f"{self.name} cannot be opened, another program may use it; {_found(known)}")

    def __iter__(self) -> Iterator[Frame]:
        start = time.monotonic()
        index = 0
        while True:
            there, image_bgr = self._capture.read()
            if not there:
                raise ImageError(f"{self.name} gives no more pictures after {index} frames; is it still connected?")
            image = np.asarray(cv2.cvtColor(image_bgr, cv2.COLOR_BGR2RGB), np.uint8)
            yield Frame(index, time.monotonic() - start, image)
            index += 1

    def close(self) -> None:
        """Let go of the camera."""
        self._capture.release()


class DisplayWindow:
    """A window that shows frames, their faces and the frame rate.

    Raises:
        ImageError: there is no screen, or OpenCV was built without windows.
    """

    def __init__(self) -> None:
        advice = "add --no-window --save out.mp4 to write a file instead"
        if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            raise ImageError(f"there is no screen to open a window on; {advice}")
        try:
            cv2.namedWindow(TITLE, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        except cv2.error as error:
            raise ImageError(
                f"this OpenCV was built without windows (the headless package); pip install opencv-python, or {advice}"
            ) from error
        self._sized = False
        self._rate = FpsMeter()

    def show(self, image: NDArray[np.uint8], faces: Sequence[FacePrediction]) -> bool:
        """Show a frame, (H, W, 3) uint8 RGB, with its faces; return whether the user wants to go on."""
        rate = self._rate.tick(time.monotonic())
        image = annotate(image, faces, same_size=True, note=f"{rate:.0f} frames/s" if rate else "")
        if not self._sized:
            cv2.resizeWindow(TITLE, image.shape[1], image.shape[0])
            self._sized = True
        cv2.imshow(TITLE, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        key = cv2.waitKey(1) & 0xFF
        return key not in _KEYS_THAT_END and cv2.getWindowProperty(TITLE, cv2.WND_PROP_VISIBLE) >= 1

    def __enter__(self) -> DisplayWindow:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        cv2.destroyWindow(TITLE)


def watch(
    source: str, recognizer: Recognizer, detect_every: int = 3, *, real_time: bool = False
) -> Generator[tuple[FramePrediction, NDArray[np.uint8]]]:
    """Yield frames as they come: what was recognised, and the picture, (H, W, 3) uint8 RGB.

    Args:
        source: a camera's number, the address of a stream (rtsp://...), or a video file.
        recognizer: who finds and classifies the faces.
        detect_every: the detector is asked in every so-many-th frame.
        real_time: show a video file at its own pace, rather than as fast as it can be read.

    Raises:
        ImageError: there is no such camera or video, or it broke off.
    """
    live = source.isdigit() or "://" in source
    with closing(Camera(int(source)) if source.isdigit() else VideoReader(source)) as video:
        watching = VideoRecognizer(recognizer, detect_every)
        frames = latest_only(iter(video)) if live else prefetch(iter(video))
        with closing(frames):
            for frame in _in_real_time(frames) if real_time and not live else frames:
                faces = tuple(watching.update(frame.image, frame.time_s))
                yield FramePrediction(printable_path(source), frame.index, frame.time_s, faces), frame.image


class FpsMeter:
    """Frames a second, calm enough to be read."""

    def __init__(self) -> None:
        self._mean: float | None = None
        self._before: float | None = None

    def tick(self, now: float) -> float:
        """Count a frame at a time in seconds; return the rate."""
        if self._before is not None:
            step = max(now - self._before, 1e-6)
            self._mean = step if self._mean is None else self._mean + 0.1 * (step - self._mean)
        self._before = now
        return 0.0 if self._mean is None else 1 / self._mean


def list_cameras() -> dict[int, str] | None:
    """Return the names of the cameras by number; None where the system does not tell."""
    if not sys.platform.startswith("linux"):
        return None
    cameras = {}
    for folder in sorted(_CAMERAS.glob("video*")) if _CAMERAS.is_dir() else ():
        name = folder / "name"
        cameras[int(folder.name.removeprefix("video"))] = name.read_text().strip() if name.is_file() else "?"
    return cameras


def _found(cameras: dict[int, str] | None) -> str:
    if cameras is None:
        return "try another number, or a video file"
    if not cameras:
        return "found no camera; give a video file or an address (rtsp://...)"
    return "found: " + ", ".join(f"{number} ({name})" for number, name in sorted(cameras.items()))


def _in_real_time(frames: Iterator[Frame]) -> Iterator[Frame]:
    """Hold each frame back until its time has come; frames that are late are shown at once."""
    start = time.monotonic()
    for frame in frames:
        time.sleep(max(0.0, start + frame.time_s - time.monotonic()))
        yield frame
