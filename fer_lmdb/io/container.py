"""Opening of video containers with PyAV 15 and later."""

from __future__ import annotations

import os
from typing import Any

import av

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
        FFmpegError: If the source is missing or not a video.
        ValueError: If the name or an option cannot be passed to FFmpeg.
    """
    return av.open(os.fspath(source), timeout=timeout, options=options, **_ANY_METADATA)


def reason(error: BaseException) -> str:
    """Return the reason of an error of FFmpeg or the system in one line."""
    return str(getattr(error, "strerror", None) or error).split("\n")[0]
