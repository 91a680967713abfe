"""Live inference on cameras and network streams."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import replace

from fer_lmdb.inference.recognizer import Recognizer
from fer_lmdb.inference.video import VideoRecognizer, check_fps
from fer_lmdb.io.animation import open_frames
from fer_lmdb.io.camera import Camera
from fer_lmdb.io.container import local_path
from fer_lmdb.io.images import printable_path
from fer_lmdb.io.video import Frame, FrameSampler
from fer_lmdb.results import FramePrediction
from fer_lmdb.runtime.background import latest_only, prefetch


def predict_camera(
    source: int | str = 0,
    recognizer: Recognizer | None = None,
    *,
    detect_every: int = 3,
    fps: float | None = None,
    real_time: bool = False,
) -> Generator[FramePrediction]:
    """Yield the predictions of frames as they arrive; outdated frames of live sources are skipped.

    Args:
        source: Camera index, stream URL (rtsp://...), or video file.
        recognizer: Recognizer; None loads the default model.
        detect_every: Run the detector on every k-th frame; faces are tracked in between.
        fps: Frames per second to look at; the others are skipped. None looks at all.
        real_time: Play a video file at its own frame rate instead of as fast as possible.

    Raises:
        ImageError: If the source does not exist or stops.
        OptionError: If `detect_every` or `fps` are out of range.
    """
    check_fps(fps)
    name = str(source)
    live = name.isdigit() or local_path(name) is None
    frame_recognizer = VideoRecognizer(recognizer or Recognizer(), detect_every)
    with closing(Camera(int(name)) if name.isdigit() else open_frames(name)) as video:
        frames = latest_only(_on_the_clock(video)) if live else prefetch(iter(video))
        sampler = FrameSampler(fps)
        with closing(frames):
            for frame in _in_real_time(frames) if real_time and not live else frames:
                if not sampler.takes(frame.time_s):
                    continue
                faces = tuple(frame_recognizer.update(frame.image, frame.time_s))
                yield FramePrediction(printable_path(name), frame.index, frame.time_s, faces, image=frame.image)


def _on_the_clock(frames: Iterable[Frame]) -> Iterator[Frame]:
    """Give each frame the time of its arrival in seconds; the times of cameras and streams jump and drift."""
    start: float | None = None
    for frame in frames:
        now = time.monotonic()
        start = now if start is None else start
        yield replace(frame, time_s=now - start)


def _in_real_time(frames: Iterator[Frame]) -> Iterator[Frame]:
    """Delay each frame until its presentation time; late frames are not delayed."""
    start = time.monotonic()
    for frame in frames:
        time.sleep(max(0.0, start + frame.time_s - time.monotonic()))
        yield frame
