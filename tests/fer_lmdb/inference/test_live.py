"""Live inference on files, streams and cameras."""

from __future__ import annotations

import functools
import threading
import time
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from fer_lmdb import Recognizer
from fer_lmdb.errors import ImageError
from fer_lmdb.inference.live import predict_camera
from fer_lmdb.io.video_writer import VideoWriter


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


def test_a_file_is_processed_to_its_end(clip: Path, recognizer: Recognizer) -> None:
    predictions = list(predict_camera(str(clip), recognizer))
    assert [prediction.frame for prediction in predictions] == list(range(12))
    assert all(len(prediction.faces) == 1 for prediction in predictions)
    assert predictions[0].image.shape == (200, 200, 3)


def test_a_file_can_play_in_real_time(clip: Path, recognizer: Recognizer) -> None:
    start = time.monotonic()
    assert len(list(predict_camera(str(clip), recognizer, real_time=True))) == 12
    assert time.monotonic() - start >= 11 / 25


def test_a_stream_from_a_url(clip: Path, recognizer: Recognizer) -> None:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(clip.parent)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        predictions = list(predict_camera(f"http://127.0.0.1:{server.server_port}/clip.mp4", recognizer))
        with pytest.raises(ImageError, match=r"gone\.mp4: cannot be read as a video"):
            list(predict_camera(f"http://127.0.0.1:{server.server_port}/gone.mp4", recognizer))
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert predictions
    assert predictions[-1].frame == 11
    assert len(predictions) <= 12  # outdated frames of live sources are skipped


def test_an_unreachable_url(recognizer: Recognizer) -> None:
    with pytest.raises(ImageError, match=r"http://127\.0\.0\.1:9/x: cannot be read as a video"):
        list(predict_camera("http://127.0.0.1:9/x", recognizer))
