"""Video writer: codecs, sizes, rates, interrupted writes."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from fer_lmdb.errors import ImageError
from fer_lmdb.io.video import VideoReader
from fer_lmdb.io.video_writer import VideoWriter, letterbox
from tests.fer_lmdb.io.video_files import image, write


def test_codecs_and_layout_are_playable_by_browsers(tmp_path: Path) -> None:
    for name, codec in (("clip.mp4", "h264"), ("clip.webm", "vp8")):
        with av.open(str(write(tmp_path / name))) as file:
            context = file.streams.video[0].codec_context
            assert (context.name, context.pix_fmt) in {(codec, "yuv420p"), ("lib" + codec, "yuv420p")}
    data = (tmp_path / "clip.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # playable before it is fully loaded


@pytest.mark.parametrize(("height", "width"), [(97, 131), (1, 1), (90, 33)])
def test_odd_sizes(tmp_path: Path, height: int, width: int) -> None:
    with VideoReader(write(tmp_path / "clip.mp4", 3, height=height, width=width)) as video:
        frames = list(video)
    assert frames[0].image.shape[:2] == (height + height % 2, width + width % 2)


def test_frames_of_another_size_are_letterboxed(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "clip.mp4") as video:
        video.add(image(200), 0)
        video.add(np.full((200, 100, 3), 200, np.uint8), 0.04)
    with VideoReader(tmp_path / "clip.mp4") as video:
        last = list(video)[-1].image
    assert last.shape == (96, 128, 3)
    assert last[48, 64].mean() == pytest.approx(200, abs=6)
    assert last[48, 5].mean() < 10


def test_an_unknown_extension(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r'extension "\.gif"; use one of \.m4v \.mkv \.mov \.mp4 \.webm'):
        VideoWriter(tmp_path / "clip.gif")


def test_a_video_without_a_frame_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), VideoWriter(tmp_path / "clip.mp4"):
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]
    assert (tmp_path / "clip.mp4").read_bytes() == b"old"


def test_a_video_without_frames_is_not_written(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "clip.mp4"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_created(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(ImageError, match=r"clip\.mp4: cannot be written"):
        VideoWriter(tmp_path / "file" / "clip.mp4")


def test_fractional_rates_are_preserved(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "clip.mp4", Fraction(30000, 1001)) as writer:
        for index in range(60):
            writer.add(image(100), index * 1001 / 30000)
    with VideoReader(tmp_path / "clip.mp4") as reader:
        assert isinstance(reader.rate, Fraction)
        assert float(reader.rate) == pytest.approx(29.97, abs=0.01)
        assert len(list(reader)) == 60


def test_letterbox() -> None:
    first = image(50)
    np.testing.assert_array_equal(letterbox(first, 128, 96), first)
    assert letterbox(first, 129, 97)[96, 0, 0] == 50  # repeated edge, no black line
    assert letterbox(cv2.resize(first, (30, 300)), 128, 96).shape == (96, 128, 3)
