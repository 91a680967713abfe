"""Video reader: times, sizes, rotation, damaged files."""

from __future__ import annotations

import struct
import tracemalloc
from pathlib import Path

import av
import numpy as np
import pytest

from fer_lmdb.errors import ImageError
from fer_lmdb.io.video import VideoReader
from fer_lmdb.io.video_writer import WRITABLE_VIDEO_SUFFIXES
from tests.fer_lmdb.io.video_files import image, write


@pytest.mark.parametrize("suffix", sorted(WRITABLE_VIDEO_SUFFIXES))
def test_frames_are_read_with_their_times(tmp_path: Path, suffix: str) -> None:
    with VideoReader(write(tmp_path / f"clip{suffix}")) as video:
        frames = list(video)
    assert [frame.index for frame in frames] == list(range(30))
    np.testing.assert_allclose([frame.time_s for frame in frames], np.arange(30) / 25, atol=0.002)
    for frame in frames:
        assert frame.image.shape == (96, 128, 3)
        assert frame.image[:, :60].mean() == pytest.approx(40 + 5 * frame.index % 200, abs=6)
        assert frame.image[:, 68:].mean() < 6


def test_irregular_times_are_preserved(tmp_path: Path) -> None:
    times = [0.0, 0.04, 0.3, 0.31, 1.0]
    with VideoReader(write(tmp_path / "clip.mp4", 5, times)) as video:
        np.testing.assert_allclose([frame.time_s for frame in video], times, atol=0.001)


def test_a_video_with_changing_size_is_read(tmp_path: Path) -> None:
    """Two concatenated MPEG transport streams are a stream with changing size."""
    for name, height in (("a.ts", 96), ("b.ts", 64)):
        with av.open(str(tmp_path / name), "w") as file:
            stream = file.add_stream("mpeg2video", rate=25)
            stream.width, stream.height, stream.pix_fmt = 128, height, "yuv420p"
            for _ in range(5):
                file.mux(stream.encode(av.VideoFrame.from_ndarray(image(100, height), format="rgb24")))
            file.mux(stream.encode())
    (tmp_path / "ab.ts").write_bytes((tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes())
    with VideoReader(tmp_path / "ab.ts") as video:
        heights = [frame.image.shape[0] for frame in video]
    assert heights[0] == 96
    assert heights[-1] == 64


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv"])
def test_metadata_that_is_not_utf8(tmp_path: Path, name: str) -> None:
    with av.open(str(tmp_path / name), "w") as file:
        stream = file.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        file.metadata["title"] = stream.metadata["title"] = stream.metadata["handler_name"] = "<title>"
        file.mux(stream.encode(av.VideoFrame.from_ndarray(image(100), format="rgb24")))
        file.mux(stream.encode())
    data = (tmp_path / name).read_bytes()
    assert data.count(b"<title>") >= 2  # the container's and the stream's
    (tmp_path / name).write_bytes(data.replace(b"<title>", b"\xc3\x28\xff\xe9\x80xx"))
    with VideoReader(tmp_path / name) as video:
        assert len(list(video)) == 1


def rotated(path: Path, matrix: tuple[int, int, int, int]) -> Path:
    """Write a rotation into the track header of an mp4 (ISO 14496-12, 8.3.2)."""
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 4 + 40
    a, b, c, d = (value << 16 for value in matrix)
    data[start : start + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("matrix", "bright"),
    [((0, 1, -1, 0), "top"), ((-1, 0, 0, -1), "right"), ((0, -1, 1, 0), "bottom"), ((1, 0, 0, 1), "left")],
)
def test_rotated_phone_videos_are_upright(tmp_path: Path, matrix: tuple[int, int, int, int], bright: str) -> None:
    with VideoReader(rotated(write(tmp_path / "clip.mp4", 3), matrix)) as video:
        image = next(iter(video)).image
    height, width = image.shape[:2]
    sides = {
        "top": image[: height // 3],
        "bottom": image[-height // 3 :],
        "left": image[:, : width // 3],
        "right": image[:, -width // 3 :],
    }
    assert max(sides, key=lambda side: sides[side].mean()) == bright
    assert (height > width) is (bright in {"top", "bottom"})


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("gone.mp4", None, "does not exist"),
        ("empty.mp4", b"", r"is empty \(0 bytes\)"),
        ("text.mp4", b"this is not a video" * 60, "cannot be read as a video: Invalid data"),
        ("null.mp4", bytes(5000), "cannot be read as a video"),
    ],
)
def test_files_that_are_not_videos(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ImageError, match=rf"{name}: {message}"):
        VideoReader(tmp_path / name)


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="is a folder; expected a video"):
        VideoReader(tmp_path)


def test_audio_only(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "song.mp4"), "w") as file:
        stream = file.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        file.mux(stream.encode(frame))
        file.mux(stream.encode())
    with pytest.raises(ImageError, match="is not a video: found audio"):
        VideoReader(tmp_path / "song.mp4")


def test_a_truncated_video_raises_after_its_frames(tmp_path: Path) -> None:
    path = write(tmp_path / "clip.mp4", 100)
    content = path.read_bytes()
    start = content.index(b"mdat")
    path.write_bytes(content[: (start + len(content)) // 2])
    frames = []
    with VideoReader(path) as video, pytest.raises(ImageError, match=r"clip\.mp4: is (truncated|damaged)"):
        frames.extend(video)
    assert 10 < len(frames) < 95


def test_a_video_truncated_before_its_index(tmp_path: Path) -> None:
    path = write(tmp_path / "clip.mp4")
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(ImageError, match=r"clip\.mp4: "):
        list(VideoReader(path))


def test_an_unsupported_codec(tmp_path: Path) -> None:
    path = write(tmp_path / "clip.mp4")
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzzz"))
    with pytest.raises(ImageError, match=r"clip\.mp4: is in an unsupported codec"):
        VideoReader(path)


def test_large_frames_are_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fer_lmdb.io.video.MAX_PIXELS", 100)
    with VideoReader(write(tmp_path / "clip.mp4", 2)) as video, pytest.raises(ImageError, match="frames of 128 x 96"):
        list(video)


def test_memory_does_not_grow_with_the_length(tmp_path: Path) -> None:
    path = write(tmp_path / "clip.mp4", 200)
    with VideoReader(path) as video:
        tracemalloc.start()
        for _ in video:
            pass
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 12 * 96 * 128 * 3
