"""Local cameras, with a fake of OpenCV's VideoCapture."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from fer_lmdb.errors import ImageError
from fer_lmdb.io.camera import Camera, list_cameras


class FakeCapture:
    """Camera that returns three blue images and is then unplugged."""

    opens = True

    def __init__(self, number: int) -> None:
        self.left = 3
        self.released = False

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return self.opens

    def read(self) -> tuple[bool, np.ndarray | None]:
        self.left -= 1
        image = np.zeros((120, 160, 3), np.uint8)
        image[:, :, 0] = 250  # OpenCV's blue
        return (True, image) if self.left >= 0 else (False, None)

    def release(self) -> None:
        self.released = True


@pytest.fixture
def one_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", FakeCapture)
    monkeypatch.setattr("fer_lmdb.io.camera.list_cameras", lambda: {2: "USB Camera"})


def test_frames_are_rgb_and_have_times(one_camera: None) -> None:
    camera = Camera(2)
    frames = []
    with pytest.raises(ImageError, match="camera 2 stopped after 3 frames"):
        frames.extend(camera)
    assert [frame.index for frame in frames] == [0, 1, 2]
    assert frames[0].image[0, 0].tolist() == [0, 0, 250]
    assert frames[0].time_s <= frames[1].time_s <= frames[2].time_s < 5


def test_a_camera_that_does_not_exist(one_camera: None) -> None:
    with pytest.raises(ImageError, match=r"camera 0 does not exist; found: 2 \(USB Camera\)"):
        Camera(0)


def test_no_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fer_lmdb.io.camera.list_cameras", dict)
    with pytest.raises(ImageError, match="camera 0 does not exist; no camera found; use a video file or a stream URL"):
        Camera(0)


def test_a_camera_in_use(one_camera: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeCapture, "opens", False)
    with pytest.raises(ImageError, match="camera 2 cannot be opened; another program may be using it"):
        Camera(2)


def test_cameras_are_listed_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, name in ((0, "Integrated Camera\n"), (10, "USB Camera\n")):
        (tmp_path / f"video{number}").mkdir()
        (tmp_path / f"video{number}" / "name").write_text(name)
    (tmp_path / "video3").mkdir()
    monkeypatch.setattr("fer_lmdb.io.camera._CAMERAS", tmp_path)
    monkeypatch.setattr(sys, "platform", "linux")
    assert list_cameras() == {0: "Integrated Camera", 3: "?", 10: "USB Camera"}
    monkeypatch.setattr("fer_lmdb.io.camera._CAMERAS", tmp_path / "none")
    assert list_cameras() == {}
    monkeypatch.setattr(sys, "platform", "darwin")
    assert list_cameras() is None
