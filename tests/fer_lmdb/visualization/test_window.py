"""Window for live results, with a fake of OpenCV's windows."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from fer_lmdb.errors import ImageError
from fer_lmdb.visualization import window
from fer_lmdb.visualization.window import DisplayWindow, FpsMeter


def test_without_a_display_there_is_no_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window.sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(ImageError, match="no display available for a window; use --no-window --save"):
        DisplayWindow()


def test_a_headless_opencv_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise cv2.error("not implemented")

    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(window, "can_open_window", lambda: True)
    monkeypatch.setattr(cv2, "namedWindow", fail)
    with pytest.raises(ImageError, match=r"built without window support .* pip install opencv-python"):
        DisplayWindow()


class FakeScreen:
    """Fake of OpenCV's windows."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shown: list[np.ndarray] = []
        self.keys: list[int] = []
        self.visible = 1.0
        monkeypatch.setenv("DISPLAY", ":0")
        monkeypatch.setattr(window, "can_open_window", lambda: True)
        for name in ("namedWindow", "resizeWindow", "destroyWindow"):
            monkeypatch.setattr(cv2, name, lambda *_: None)
        monkeypatch.setattr(cv2, "imshow", lambda _, image: self.shown.append(image))
        monkeypatch.setattr(cv2, "waitKey", lambda _: self.keys.pop(0) if self.keys else -1)
        monkeypatch.setattr(cv2, "getWindowProperty", lambda *_: self.visible)


def test_a_window_shows_bgr_and_closes_by_key_or_button(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = FakeScreen(monkeypatch)
    red = np.zeros((200, 300, 3), np.uint8)
    red[:, :, 0] = 200
    with DisplayWindow() as window:
        assert window.show(red, [])
        assert screen.shown[0][100, 150].tolist() == [0, 0, 200]
        for key in (ord("q"), 27):
            screen.keys = [key]
            assert not window.show(red, [])
        screen.visible = 0.0
        assert not window.show(red, [])


def test_the_frame_rate_is_the_mean_of_recent_frames() -> None:
    meter = FpsMeter()
    assert meter.tick(10.0) == 0.0
    for step in range(1, 100):
        found = meter.tick(10.0 + step / 25)
    assert found == pytest.approx(25, abs=0.1)
