"""The sound of one video, carried over into another while its frames are written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from av.error import FFmpegError

from fer_lmdb.io.container import open_input

_PLAYED = {
    ".webm": frozenset({"opus", "vorbis"}),
    ".mkv": frozenset({"aac", "mp3", "opus", "vorbis", "flac"}),
}
_PLAYED_ELSEWHERE = frozenset({"aac", "mp3"})


class AudioCopier:
    """Copies a video's first sound track; one that browsers do not play is encoded anew (AAC, Opus in .webm).

    Args:
        source: the video.
        output: the container that takes the sound; nothing may have been written into it yet.
        suffix: its ending.

    Attributes:
        skip_reason: why there is no sound although the video has a track, one line; None where all is well.
    """

    def __init__(self, source: Path, output: Any, suffix: str) -> None:
        self._output = output
        self._input: Any = open_input(source)
        self._track: Any = next(iter(self._input.streams.audio), None)
        self.skip_reason: str | None = None
        if self._track is not None and self._track.codec_context is None:
            self.skip_reason, self._track = "it is in a codec that is not known here", None
        if self._track is None:
            self._input.close()
            return
        self._begin_s = _start_of(self._input)
        codec = self._track.codec_context.codec.canonical_name
        self._copies = codec in _PLAYED.get(suffix.lower(), _PLAYED_ELSEWHERE)
        self._target = self._add_target(suffix)
        self._packets = self._input.demux(self._track)
        self._next: Any = self._read()

    def _add_target(self, suffix: str) -> Any:
        if self._copies:
            return self._output.add_stream_from_template(self._track)
        if suffix.lower() == ".webm":
            return self._output.add_stream("libopus", rate=48_000, layout=_mono_or_stereo(self._track))
        return self._output.add_stream("aac", rate=self._track.rate, layout=_mono_or_stereo(self._track))

    def write_until(self, time_s: float) -> None:
        """Write what is heard before a time, in seconds from the first frame, so that players need not search."""
        while self._track is not None and self._next is not None and self._time_of(self._next) <= time_s:
            self._write(self._next)
            self._next = self._read()

    def finish(self) -> None:
        """Write the rest."""
        self.write_until(float("inf"))
        if self._track is not None and not self._copies:
            self._output.mux(self._target.encode(None))

    def close(self) -> None:
        """Let go of the video."""
        self._input.close()

    def _read(self) -> Any:
        """The next packet with a time; None at the end, which is also where a damaged file breaks off."""
        try:
            return next((packet for packet in self._packets if packet.pts is not None), None)
        except FFmpegError:
            return None  # whoever reads the frames says so

    def _time_of(self, packet: Any) -> float:
        return float(packet.pts * packet.time_base) - self._begin_s

    def _write(self, packet: Any) -> None:
        if self._time_of(packet) + float((packet.duration or 0) * packet.time_base) <= 0:
            return  # heard before the first frame is seen
        shift = round(self._begin_s / packet.time_base)
        if self._copies:
            packet.pts -= shift
            packet.dts = packet.pts if packet.dts is None else packet.dts - shift
            packet.stream = self._target
            self._output.mux(packet)
            return
        for frame in self._decode(packet):
            frame.pts = None if frame.pts is None else frame.pts - shift
            self._output.mux(self._target.encode(frame))

    def _decode(self, packet: Any) -> list[Any]:
        try:
            return list(packet.decode())
        except FFmpegError:
            return []  # a damaged packet is a moment of silence


def _start_of(container: Any) -> float:
    """When the first frame is shown, in the container's own seconds."""
    stream = container.streams.video[0] if container.streams.video else None
    if stream is None or stream.start_time is None:
        return 0.0
    return float(stream.start_time * stream.time_base)


def _mono_or_stereo(track: Any) -> str:
    return "mono" if track.codec_context.channels == 1 else "stereo"
