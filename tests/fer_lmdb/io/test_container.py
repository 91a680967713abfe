"""Containers: the formats and protocols that FFmpeg may use."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from fer_lmdb.errors import ImageError
from fer_lmdb.io.container import FILE_FORMATS, STREAM_FORMATS, STREAM_PROTOCOLS, local_path
from fer_lmdb.io.video import VideoReader, square_pixel_size
from tests.fer_lmdb.io.video_files import add_cover, encode, image, write

SCRIPTS = {
    "concat": "ffconcat version 1.0\nfile {}\n",
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{}\n#EXT-X-ENDLIST\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"
    "a=rtpmap:96 H264/90000\n",
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><AdaptationSet '
    'mimeType="video/mp4"><Representation id="1" bandwidth="1"><BaseURL>{}</BaseURL></Representation></AdaptationSet>'
    "</Period></MPD>",
}
"""Text files that name another file or address, by FFmpeg's name of their format."""


@pytest.mark.parametrize("kind", SCRIPTS)
@pytest.mark.parametrize("suffix", [".mp4", ".m3u8", ".txt"])
def test_files_that_name_other_files_are_rejected(tmp_path: Path, kind: str, suffix: str) -> None:
    other = write(tmp_path / "other.mp4", 2)
    path = tmp_path / f"clip{suffix}"
    path.write_text(SCRIPTS[kind].format(other))
    with pytest.raises(ImageError, match=rf"clip\{suffix}: cannot be read as a video: (its format|Invalid)"):
        VideoReader(path)


def test_no_format_that_names_other_files_is_allowed() -> None:
    assert not {"concat", "hls", "dash", "sdp", "image2", "lavfi", "tee", "imf"} & {*FILE_FORMATS, *STREAM_FORMATS}
    assert not {"file", "concat", "subfile", "data", "pipe", "fd"} & {*STREAM_PROTOCOLS}


@pytest.mark.parametrize("address", ["concat://a", "data://x", "subfile://a", "ftp://host/a.mp4", "fd://0"])
def test_protocols_that_are_not_streams_are_rejected(address: str) -> None:
    with pytest.raises(ImageError, match=r"found the protocol \w+, expected rtsp, http, https"):
        VideoReader(address)


@pytest.mark.parametrize("name", ["concat:a.mp4|b.mp4", "a:b.mp4", "pipe:0", "file:x.mp4"])
def test_names_with_a_colon_are_files(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ImageError, match="does not exist"):
        VideoReader(name)
    write(tmp_path / "clip.mp4", 3).rename(tmp_path / name)
    with VideoReader(name) as video:
        assert len(list(video)) == 3


def test_a_file_address_is_a_path(tmp_path: Path) -> None:
    path = write(tmp_path / "my clip.mp4", 3)
    assert local_path(path.as_uri()) == path
    with VideoReader(path.as_uri()) as video:
        assert len(list(video)) == 3


@pytest.mark.parametrize("kind", ["mpegts", "mxf", "avi", "asf", "flv", "mov", "h264"])
def test_containers_of_cameras_are_read_whatever_their_suffix(tmp_path: Path, kind: str) -> None:
    path = encode(tmp_path / "clip.x", [image(100, 96, 128)] * 5, kind=kind)
    with VideoReader(path) as video:
        assert len(list(video)) == 5


def test_a_cover_image_is_not_the_video(tmp_path: Path) -> None:
    with VideoReader(add_cover(encode(tmp_path / "clip.mp4", [image(100)] * 10))) as video:
        assert [frame.image.shape for frame in video] == [(96, 128, 3)] * 10


def test_pixels_are_made_square(tmp_path: Path) -> None:
    with VideoReader(encode(tmp_path / "clip.mp4", [image(200, 96, 128)] * 2, aspect=Fraction(3, 2))) as video:
        frame = next(iter(video)).image
    assert frame.shape == (96, 192, 3)
    assert frame[:, :90].mean() > 190
    assert frame[:, 102:].mean() < 6


@pytest.mark.parametrize(
    ("aspect", "size"),
    [
        (None, (720, 576)),
        (Fraction(1), (720, 576)),
        (Fraction(16, 11), (1047, 576)),
        (Fraction(10, 11), (720, 634)),
        (Fraction(0), (720, 576)),
        (Fraction(1000), (720, 576)),  # damaged
    ],
)
def test_sizes_with_square_pixels(aspect: Fraction | None, size: tuple[int, int]) -> None:
    assert square_pixel_size(720, 576, aspect) == size
