"""Audio is copied in sync with the frames."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from fer_lmdb.io.container import open_input
from fer_lmdb.io.video import VideoReader
from fer_lmdb.io.video_writer import VideoWriter

RATE = 48_000
BEEP_S = 0.5


def video_with_audio(path: Path, codec: str, seconds: float = 1.0) -> Path:
    """Write 25 frames per second, dark and silent, then bright with a tone after half a second."""
    times = np.arange(int(seconds * RATE)) / RATE
    tone = (np.where(times >= BEEP_S, 0.5 * np.sin(2 * np.pi * 440 * times), 0) * 32767).astype(np.int16)
    with av.open(str(path), "w") as file:
        image = file.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        image.width, image.height, image.pix_fmt = 64, 48, "yuv420p"
        track = file.add_stream(codec, rate=RATE, layout="mono")
        file.metadata["title"] = track.metadata["title"] = track.metadata["handler_name"] = "<title>"
        for index in range(int(seconds * 25)):
            shade = np.full((48, 64, 3), 200 if index / 25 >= BEEP_S else 20, np.uint8)
            file.mux(image.encode(av.VideoFrame.from_ndarray(shade, format="rgb24")))
        file.mux(image.encode(None))
        for start in range(0, len(tone), 1024):
            samples = av.AudioFrame.from_ndarray(tone[None, start : start + 1024], format="s16", layout="mono")
            samples.sample_rate, samples.pts = RATE, start
            file.mux(track.encode(samples))
        file.mux(track.encode(None))
    return path


def copy(source: Path, target: Path) -> Path:
    with VideoReader(source) as frames, VideoWriter(target, audio_from=source) as writer:
        for frame in frames:
            writer.add(frame.image, frame.time_s)
    return target


def beep_and_flash(path: Path) -> tuple[float, float]:
    """Return the times in seconds at which the tone starts and the frames become bright."""
    with av.open(str(path)) as file:
        begin = float(file.streams.video[0].start_time * file.streams.video[0].time_base)
        loud = [
            frame.time
            for frame in file.decode(audio=0)
            if np.abs(frame.to_ndarray().astype(float)).max() > (0.2 if "flt" in frame.format.name else 6000)
        ]
    with VideoReader(path) as frames:
        bright = [frame.time_s for frame in frames if frame.image.mean() > 100]
    return loud[0] - begin, bright[0]


@pytest.mark.parametrize(
    ("source", "codec", "target", "found"),
    [
        ("clip.mp4", "aac", "copy.mp4", "aac"),
        ("clip.ts", "aac", "copy.mp4", "aac"),  # starts at 1.4 s, and its packets have headers that mp4 has not
        ("clip.mov", "pcm_s16le", "copy.mp4", "aac"),
        ("clip.mp4", "aac", "copy.webm", "opus"),
        ("clip.mkv", "libopus", "copy.webm", "opus"),
    ],
)
def test_audio_is_copied_in_sync(tmp_path: Path, source: str, codec: str, target: str, found: str) -> None:
    path = copy(video_with_audio(tmp_path / source, codec), tmp_path / target)
    with av.open(str(path)) as file:
        (track,) = file.streams.audio
        assert track.codec_context.codec.canonical_name == found
        duration = sum(frame.samples / frame.sample_rate for frame in file.decode(track))
    assert duration == pytest.approx(1.0, abs=0.1)
    beep, flash = beep_and_flash(path)
    assert flash == pytest.approx(BEEP_S, abs=0.05)
    assert beep == pytest.approx(flash, abs=0.08)


def test_playable_audio_is_not_re_encoded(tmp_path: Path) -> None:
    source = video_with_audio(tmp_path / "clip.mp4", "aac")
    packets = []
    for path in (source, copy(source, tmp_path / "copy.mp4")):
        with av.open(str(path)) as file:
            packets.append([bytes(packet) for packet in file.demux(audio=0) if packet.size])
    assert set(packets[1]) <= set(packets[0])
    assert len(packets[1]) >= len(packets[0]) - 1  # the first can be the priming packet of the encoder


@pytest.mark.parametrize(("source", "target"), [("clip.mp4", "copy.mp4"), ("clip.mkv", "copy.mkv")])
def test_audio_with_metadata_that_is_not_utf8(tmp_path: Path, source: str, target: str) -> None:
    path = video_with_audio(tmp_path / source, "aac")
    data = path.read_bytes()
    assert data.count(b"<title>") >= 2  # the container's and the track's
    path.write_bytes(data.replace(b"<title>", b"\xc3\x28\xff\xe9\x80xx"))
    with open_input(copy(path, tmp_path / target)) as file:
        assert sum(frame.samples for frame in file.decode(audio=0)) == pytest.approx(RATE, rel=0.1)


def test_video_without_audio(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "silent.mp4") as writer:
        writer.add(np.zeros((48, 64, 3), np.uint8), 0)
    with av.open(str(copy(tmp_path / "silent.mp4", tmp_path / "copy.mp4"))) as file:
        assert not file.streams.audio


def test_audio_in_an_unsupported_codec_is_reported(tmp_path: Path) -> None:
    source = video_with_audio(tmp_path / "clip.mp4", "aac")
    source.write_bytes(source.read_bytes().replace(b"mp4a", b"zzzz").replace(b"esds", b"zzzz"))
    with VideoReader(source) as frames, VideoWriter(tmp_path / "copy.mp4", audio_from=source) as writer:
        for frame in frames:
            writer.add(frame.image, frame.time_s)
    assert writer.audio_note == "it is in an unsupported codec"
    with av.open(str(tmp_path / "copy.mp4")) as file:
        assert not file.streams.audio
