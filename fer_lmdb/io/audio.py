"""Audio of a video, copied into another video while its frames are written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from av.error import FFmpegError

from fer_lmdb.io.container import find_video_stream, open_input

_PLAYABLE = {
    ".webm": frozenset({"opus", "vorbis"}),
    ".mkv": frozenset({"aac", "mp3", "opus", "vorbis", "flac"}),
}
_PLAYABLE_IN_MP4 = frozenset({"aac", "mp3"})


class AudioCopier:
    """Copy the first audio track of a video; if browsers do not play its codec, re-encode it (AAC, or Opus in .webm).

    Args:
        source: Video to copy from.
        output: PyAV container to copy to, before anything is written into it.
        suffix: Extension of the output.

    Attributes:
        skip_reason: Reason for not copying the track, in one line; None if it is copied or there is no track.

    Raises:
        FFmpegError: If the source cannot be opened.
    """

    def __init__(self, source: Path, output: Any, suffix: str) -> None:
        self._output = output
        self._input: Any = open_input(source)
        self._track: Any = next(iter(self._input.streams.audio), None)
        self.skip_reason: str | None = None
        if self._track is not None and self._track.codec_context is None:
            self.skip_reason, self._track = "it is in an unsupported codec", None
        if self._track is None:
            self._input.close()
            return
        self._begin_s = _start_of(self._input)
        codec = self._track.codec_context.codec.canonical_name
        self._copies = codec in _PLAYABLE.get(suffix.lower(), _PLAYABLE_IN_MP4)
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
        """Write the audio before a time, in seconds from the first frame, so that audio and video are interleaved."""
        while self._track is not None and self._next is not None and self._time_of(self._next) <= time_s:
            self._write(self._next)
            self._next = self._read()

    def finish(self, until_s: float | None = None) -> None:
        """Write the remaining audio, up to a time in seconds from the first frame, or all of it."""
        self.write_until(float("inf") if until_s is None else until_s)
        if self._track is not None and not self._copies:
            self._output.mux(self._target.encode(None))

    def close(self) -> None:
        """Close the source."""
        self._input.close()

    def _read(self) -> Any:
        """Return the next packet with a time; None at the end or at the first damaged packet."""
        try:
            return next((packet for packet in self._packets if packet.pts is not None), None)
        except FFmpegError:
            return None  # reported by the reader of the frames

    def _time_of(self, packet: Any) -> float:
        return float(packet.pts * packet.time_base) - self._begin_s

    def _write(self, packet: Any) -> None:
        if self._time_of(packet) + float((packet.duration or 0) * packet.time_base) <= 0:
            return  # before the first frame
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
            return []  # silence instead of a damaged packet


def _start_of(container: Any) -> float:
    """Return the time of the first frame in seconds of the container."""
    stream = find_video_stream(container)
    if stream is None or stream.start_time is None:
        return 0.0
    return float(stream.start_time * stream.time_base)


def _mono_or_stereo(track: Any) -> str:
    return "mono" if track.codec_context.channels == 1 else "stereo"
