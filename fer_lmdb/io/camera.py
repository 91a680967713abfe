"""Frames of local cameras."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from fer_lmdb.errors import ImageError
from fer_lmdb.io.video import Frame

_CAMERAS = Path("/sys/class/video4linux")


class Camera:
    """Camera by index; iterate over it to read frames.

    Args:
        index: Index of the camera, from 0.

    Raises:
        ImageError: If the camera does not exist or cannot be opened, or, during iteration, if it stops.
    """

    def __init__(self, index: int) -> None:
        self.name = f"camera {index}"
        known = list_cameras()
        if known is not None and index not in known:
            raise ImageError(f"{self.name} does not exist; {_hint(known)}")
        self._capture = cv2.VideoCapture(index)
        if not self._capture.isOpened():
            self.close()
            raise ImageError(f"{self.name} cannot be opened; another program may be using it; {_hint(known)}")

    def __iter__(self) -> Iterator[Frame]:
        start = time.monotonic()
        index = 0
        while True:
            success, image_bgr = self._capture.read()
            if not success:
                raise ImageError(f"{self.name} stopped after {index} frames; check that it is connected")
            image = np.asarray(cv2.cvtColor(image_bgr, cv2.COLOR_BGR2RGB), np.uint8)
            yield Frame(index, time.monotonic() - start, image)
            index += 1

    def close(self) -> None:
        """Release the camera."""
        self._capture.release()


def list_cameras() -> dict[int, str] | None:
    """Return the names of the cameras by index; None if the operating system does not list them."""
    if not sys.platform.startswith("linux"):
        return None
    cameras = {}
    for folder in sorted(_CAMERAS.glob("video*")) if _CAMERAS.is_dir() else ():
        name = folder / "name"
        cameras[int(folder.name.removeprefix("video"))] = name.read_text().strip() if name.is_file() else "?"
    return cameras


def _hint(cameras: dict[int, str] | None) -> str:
    if cameras is None:
        return "try another index or a video file"
    if not cameras:
        return "no camera found; use a video file or a stream URL (rtsp://...)"
    return "found: " + ", ".join(f"{index} ({name})" for index, name in sorted(cameras.items()))
