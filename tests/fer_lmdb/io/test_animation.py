"""Animated images and TIFF with several pages: their kind, frames and times."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_lmdb.errors import ImageError
from fer_lmdb.io.animation import PAGE_S, AnimationReader, open_frames
from fer_lmdb.io.file_kind import file_kind, is_animation
from fer_lmdb.io.video import VideoReader
from tests.fer_lmdb.io.video_files import encode, image, write


def animation(path: Path, count: int = 4, duration: int = 200) -> Path:
    first, *others = (Image.fromarray(np.full((30, 40, 3), 60 * k, np.uint8)) for k in range(count))
    options = {} if path.suffix == ".tiff" else {"duration": duration, "lossless": True}
    first.save(path, save_all=True, append_images=others, **options)
    return path


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png", ".tiff"])
def test_frames_and_times(tmp_path: Path, suffix: str) -> None:
    path = animation(tmp_path / f"a{suffix}")
    assert file_kind(path) == "animation"
    assert is_animation(path)
    with open_frames(path) as reader:
        assert isinstance(reader, AnimationReader)
        frames = list(reader)
    step = PAGE_S if suffix == ".tiff" else 0.2
    np.testing.assert_allclose([frame.time_s for frame in frames], np.arange(4) * step)
    assert [frame.index for frame in frames] == [0, 1, 2, 3]
    np.testing.assert_allclose([frame.image.mean() for frame in frames], [0, 60, 120, 180], atol=2)
    assert frames[0].image.shape == (30, 40, 3)


def test_frames_without_a_duration_take_a_tenth_of_a_second(tmp_path: Path) -> None:
    with open_frames(animation(tmp_path / "a.gif", duration=0)) as reader:
        assert [frame.time_s for frame in reader] == pytest.approx([0, 0.1, 0.2, 0.3])


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png", ".tiff"])
def test_a_single_frame_is_an_image(tmp_path: Path, suffix: str) -> None:
    path = animation(tmp_path / f"a{suffix}", 1)
    assert file_kind(path) == "image"
    assert not is_animation(path)


def test_a_damaged_animation_ends_with_an_error(tmp_path: Path) -> None:
    path = animation(tmp_path / "a.webp")
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(ImageError, match=r"a\.webp: is damaged"):
        list(AnimationReader(path))


@pytest.mark.parametrize("suffix", [".mp4", ".jpg", ".gif", ""])
def test_the_content_decides(tmp_path: Path, suffix: str) -> None:
    Image.new("RGB", (9, 9)).save(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").rename(tmp_path / f"image{suffix}")
    assert file_kind(tmp_path / f"image{suffix}") == "image"
    animation(tmp_path / "b.gif").rename(tmp_path / f"animation{suffix}")
    assert file_kind(tmp_path / f"animation{suffix}") == "animation"
    write(tmp_path / "clip.mkv", 2).rename(tmp_path / f"video{suffix}")
    assert file_kind(tmp_path / f"video{suffix}") == "video"
    with open_frames(tmp_path / f"video{suffix}") as reader:
        assert isinstance(reader, VideoReader)


@pytest.mark.parametrize("kind", ["mpegts", "mxf", "avi", "asf", "flv", "mov", "mpeg"])
def test_videos_are_recognized(tmp_path: Path, kind: str) -> None:
    assert file_kind(encode(tmp_path / "x", [image(100)] * 5, kind=kind)) == "video"


def test_the_suffix_decides_if_the_content_is_not_recognized(tmp_path: Path) -> None:
    assert [file_kind(tmp_path / name) for name in ("a.mts", "a.M2TS", "a.mxf", "a.jpg", "a")] == [
        "video", "video", "video", "image", "image",
    ]  # fmt: skip
    (tmp_path / "a.mp4").write_bytes(b"rubbish")
    assert file_kind(tmp_path / "a.mp4") == "video"
