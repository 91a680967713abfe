"""Opening of video containers with PyAV, with a list of allowed formats and protocols.

FFmpeg selects the format by content. Without limits, a file called clip.mp4 that is a playlist or a concat script makes
it read other files, and addresses.
"""

from __future__ import annotations

import os
from errno import EINVAL
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import av
from av.stream import Disposition

FILE_FORMATS = frozenset(
    {"mov", "matroska", "avi", "mpegts", "mpeg", "mxf", "flv", "asf", "ogg", "dv", "gxf", "ivf", "wtv", "nut"}
    | {"mjpeg", "mpegvideo", "m4v", "h264", "hevc", "h263", "av1", "obu", "yuv4mpegpipe"}
)
"""FFmpeg's names of the formats of files. Not among them, because they name other files or addresses: playlists (hls,
dash), concat scripts, sdp, and images with a number in their name (image2)."""
STREAM_FORMATS = FILE_FORMATS | {"rtsp", "rtp", "mpjpeg", "live_flv"}
FILE_PROTOCOLS = frozenset({"file"})
STREAM_PROTOCOLS = frozenset(
    {"rtsp", "rtsps", "rtp", "srtp", "udp", "tcp", "tls", "http", "https", "httpproxy", "crypto"}
    | {"rtmp", "rtmps", "rtmpt", "rtmpts", "srt", "rist"}
)
"""Protocols of addresses; none of them reads a local file."""

# Metadata that is not UTF-8 must not prevent reading a video. PyAV up to 18 rejects such a video unless told otherwise;
# PyAV 19 accepts any bytes and has no such argument.
_ANY_METADATA: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}


def open_input(
    source: str | os.PathLike[str], timeout: float | None = None, options: dict[str, str] | None = None
) -> Any:
    """Open a video file or stream for reading, with metadata in any encoding.

    Args:
        source: Path of a file, or address of a stream.
        timeout: Maximum time to wait for a stream, in seconds; None for no limit.
        options: FFmpeg options of the container and its streams.

    Raises:
        FFmpegError: If the source is missing, not a video, or in a format or behind a protocol that is not allowed.
        ValueError: If the name or an option cannot be passed to FFmpeg.
    """
    path = local_path(source)
    if path is None:
        name, formats, protocols = _checked_address(os.fspath(source)), STREAM_FORMATS, STREAM_PROTOCOLS
    else:  # the prefix allows names such as a:b.mp4
        name, formats, protocols = f"file:{path}", FILE_FORMATS, FILE_PROTOCOLS
    limits = {"format_whitelist": ",".join(sorted(formats)), "protocol_whitelist": ",".join(sorted(protocols))}
    return av.open(name, timeout=timeout, options=(options or {}) | limits, **_ANY_METADATA)


def local_path(source: str | os.PathLike[str]) -> Path | None:
    """Return the path of a file, also of a file:// address; None for the address of a stream."""
    name = os.fspath(source)
    if name.lower().startswith("file://"):
        return Path(unquote(urlsplit(name).path))
    return None if "://" in name else Path(name)


def find_video_stream(container: Any) -> Any:
    """Return the first video stream of an open container, None if there is none; a cover image is not a video."""
    return next((stream for stream in container.streams.video if not is_cover(stream)), None)


def is_cover(stream: Any) -> bool:
    """Return whether a stream is a cover image or thumbnail."""
    return bool(stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails))


def _checked_address(address: str) -> str:
    scheme = address.split("://")[0].lower()
    if scheme not in STREAM_PROTOCOLS:
        raise ValueError(f"found the protocol {scheme}, expected rtsp, http, https, rtmp, udp, srt, ...")
    return address


def reason(error: BaseException) -> str:
    """Return the reason of an error of FFmpeg or the system in one line."""
    if isinstance(error, av.error.FFmpegError) and error.errno == EINVAL:  # reported for a format that is not listed
        return "its format is not supported; playlists, concat scripts and SDP files are not followed"
    return str(getattr(error, "strerror", None) or error).split("\n")[0]
