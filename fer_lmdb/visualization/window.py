"""Window that displays annotated frames and the frame rate."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from types import TracebackType

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_lmdb.errors import ImageError
from fer_lmdb.results import FacePrediction
from fer_lmdb.visualization.annotate import annotate

TITLE = "fer-lmdb"
_QUIT_KEYS = {27, ord("q")}  # 27 is Esc


class DisplayWindow:
    """Window for live results.

    Raises:
        ImageError: If there is no display, or OpenCV was built without window support.
    """

    def __init__(self) -> None:
        hint = "use --no-window --save out.mp4 to write a file instead"
        if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            raise ImageError(f"no display available for a window; {hint}")
        if not can_open_window():
            raise ImageError(f"the display {_display()} cannot be opened; check it with another program, or {hint}")
        try:
            cv2.namedWindow(TITLE, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        except cv2.error as error:
            raise ImageError(
                f"OpenCV was built without window support (headless package); pip install opencv-python, or {hint}"
            ) from error
        self._sized = False
        self._fps = FpsMeter()

    def show(self, image: NDArray[np.uint8], faces: Sequence[FacePrediction]) -> bool:
        """Show a frame, (H, W, 3) uint8 RGB, with its faces; return False if the user closed the window."""
        fps = self._fps.tick(time.monotonic())
        image = annotate(image, faces, same_size=True, note=f"{fps:.0f} frames/s" if fps else "")
        if not self._sized:
            cv2.resizeWindow(TITLE, image.shape[1], image.shape[0])
            self._sized = True
        cv2.imshow(TITLE, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        key = cv2.waitKey(1) & 0xFF
        return key not in _QUIT_KEYS and cv2.getWindowProperty(TITLE, cv2.WND_PROP_VISIBLE) >= 1

    def __enter__(self) -> DisplayWindow:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        cv2.destroyWindow(TITLE)


def can_open_window() -> bool:
    """Return whether OpenCV can open a window; asked of another process, since Qt aborts its own if it cannot."""
    if not _display():
        return True
    code = f"import cv2; cv2.namedWindow({TITLE!r}, cv2.WINDOW_NORMAL); cv2.destroyAllWindows()"
    done = subprocess.run([sys.executable, "-c", code], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return done.returncode == 0 or "cv2.error" in done.stderr  # an error of OpenCV is reported by the caller


def _display() -> str:
    return os.environ.get("WAYLAND_DISPLAY") or os.environ.get("DISPLAY") or ""


class FpsMeter:
    """Exponentially smoothed frame rate."""

    def __init__(self) -> None:
        self._mean: float | None = None
        self._before: float | None = None

    def tick(self, now: float) -> float:
        """Count a frame at a time in seconds; return frames per second, 0 for the first frame."""
        if self._before is not None:
            step = max(now - self._before, 1e-6)
            self._mean = step if self._mean is None else self._mean + 0.1 * (step - self._mean)
        self._before = now
        return 0.0 if self._mean is None else 1 / self._mean
