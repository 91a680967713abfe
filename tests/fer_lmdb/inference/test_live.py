"""Live pictures: cameras, streams, windows, and what happens without them."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest

from fer_lmdb import Recognizer
from fer_lmdb.errors import ImageError
from fer_lmdb.inference import live as module
from fer_lmdb.inference.live import Camera, DisplayWindow, FpsMeter, list_cameras, watch
from fer_lmdb.io.video_writer import VideoWriter
from fer_lmdb.runtime.background import latest_only


@pytest.fixture(scope="module")
def recognizer(trained) -> Recognizer:
    return Recognizer(trained.run.path, device="cpu")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from skimage import data

    path = tmp_path_factory.mktemp("watch") / "clip.mp4"
    with VideoWriter(path) as video:
        for index in range(12):
            video.add(data.astronaut()[20:220, 120:320], index / 25)
    return path


class FakeCapture:
    """A camera that gives three blue pictures and is then unplugged."""

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
    monkeypatch.setattr(module, "list_cameras", lambda: {2: "USB Camera"})


def test_a_camera_gives_rgb_and_times(one_camera: None) -> None:
    camera = Camera(2)
    frames = []
    with pytest.raises(ImageError, match="camera 2 gives no more pictures after 3 frames"):
        frames.extend(camera)
    assert [frame.index for frame in frames] == [0, 1, 2]
    assert frames[0].image[0, 0].tolist() == [0, 0, 250]
    assert frames[0].time_s <= frames[1].time_s <= frames[2].time_s < 5


def test_a_camera_that_does_not_exist(one_camera: None) -> None:
    with pytest.raises(ImageError, match=r"camera 0 does not exist; found: 2 \(USB Camera\)"):
        Camera(0)


def test_no_camera_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "list_cameras", dict)
    with pytest.raises(ImageError, match="camera 0 does not exist; found no camera; give a video file or an address"):
        Camera(0)


def test_a_camera_in_use(one_camera: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeCapture, "opens", False)
    with pytest.raises(ImageError, match="camera 2 cannot be opened, another program may use it"):
        Camera(2)


def test_cameras_are_listed_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, name in ((0, "Integrated Camera\n"), (10, "USB Camera\n")):
        (tmp_path / f"video{number}").mkdir()
        (tmp_path / f"video{number}" / "name").write_text(name)
    (tmp_path / "video3").mkdir()
    monkeypatch.setattr(module, "_CAMERAS", tmp_path)
    monkeypatch.setattr(module.sys, "platform", "linux")
    assert list_cameras() == {0: "Integrated Camera", 3: "?", 10: "USB Camera"}
    monkeypatch.setattr(module, "_CAMERAS", tmp_path / "none")
    assert list_cameras() == {}
    monkeypatch.setattr(module.sys, "platform", "darwin")
    assert list_cameras() is None


def test_a_file_is_watched_to_its_end(clip: Path, recognizer: Recognizer) -> None:
    seen = list(watch(str(clip), recognizer))
    assert [prediction.frame for prediction, _ in seen] == list(range(12))
    assert all(len(prediction.faces) == 1 for prediction, _ in seen)
    assert seen[0][1].shape == (200, 200, 3)


def test_a_file_may_play_at_its_own_pace(clip: Path, recognizer: Recognizer) -> None:
    start = time.monotonic()
    assert len(list(watch(str(clip), recognizer, real_time=True))) == 12
    assert time.monotonic() - start >= 11 / 25


def test_a_stream_from_an_address(clip: Path, recognizer: Recognizer) -> None:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(clip.parent)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        seen = list(watch(f"http://127.0.0.1:{server.server_port}/clip.mp4", recognizer))
        with pytest.raises(ImageError, match=r"gone\.mp4: cannot be read as a video"):
            list(watch(f"http://127.0.0.1:{server.server_port}/gone.mp4", recognizer))
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert seen
    assert seen[-1][0].frame == 11
    assert len(seen) <= 12  # a live source skips what is outdated


def test_nobody_listens_at_an_address(recognizer: Recognizer) -> None:
    with pytest.raises(ImageError, match=r"http://127\.0\.0\.1:9/x: cannot be read as a video"):
        list(watch("http://127.0.0.1:9/x", recognizer))


def test_the_newest_is_taken_and_the_outdated_skipped() -> None:
    arrived = threading.Event()

    def numbers() -> Iterator[int]:
        yield 0
        arrived.wait(5)
        yield from range(1, 100)

    items = latest_only(numbers())
    assert next(items) == 0
    arrived.set()
    time.sleep(0.3)
    rest = list(items)
    assert rest[-1] == 99
    assert len(rest) < 99


def test_errors_of_a_live_source_come_out() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise ImageError("unplugged")

    with pytest.raises(ImageError, match="unplugged"):
        list(latest_only(broken()))


def test_leaving_a_live_source_ends_its_thread() -> None:
    def endless() -> Iterator[int]:
        while True:
            time.sleep(0.001)
            yield 1

    items = latest_only(endless())
    next(items)
    items.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "latest-only"]


def test_without_a_screen_there_is_no_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(ImageError, match="there is no screen to open a window on; add --no-window --save"):
        DisplayWindow()


def test_a_headless_opencv_has_no_window(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise cv2.error("not implemented")

    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(cv2, "namedWindow", refuse)
    with pytest.raises(ImageError, match=r"built without windows .* pip install opencv-python"):
        DisplayWindow()


class FakeScreen:
    """Stands in for OpenCV's windows."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shown: list[np.ndarray] = []
        self.keys: list[int] = []
        self.visible = 1.0
        monkeypatch.setenv("DISPLAY", ":0")
        for name in ("namedWindow", "resizeWindow", "destroyWindow"):
            monkeypatch.setattr(cv2, name, lambda *_: None)
        monkeypatch.setattr(cv2, "imshow", lambda _, image: self.shown.append(image))
        monkeypatch.setattr(cv2, "waitKey", lambda _: self.keys.pop(0) if self.keys else -1)
        monkeypatch.setattr(cv2, "getWindowProperty", lambda *_: self.visible)


def test_a_window_shows_bgr_and_ends_by_key_or_cross(monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_the_frame_rate_is_the_mean_of_the_last_frames() -> None:
    rate = FpsMeter()
    assert rate.tick(10.0) == 0.0
    for step in range(1, 100):
        found = rate.tick(10.0 + step / 25)
    assert found == pytest.approx(25, abs=0.1)
