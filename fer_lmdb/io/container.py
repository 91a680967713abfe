"""Opens the containers that videos are read from, with every PyAV from 15 on."""

from __future__ import annotations

import os
from typing import Any

import av

# A title or comment that is not UTF-8 must not keep a video from being read. Up to version 18 PyAV refuses such a video
# unless told otherwise; from 19 on it takes any bytes, and no longer knows the argument.
_ANY_METADATA: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}


def open_input(
    source: str | os.PathLike[str], timeout: float | None = None, options: dict[str, str] | None = None
) -> Any:
    """Open a video file or stream for reading, whatever encoding its metadata are in.

    Args:
        source: a file, or the address of a stream.
        timeout: how long to wait for a stream, in seconds; None waits for ever.
        options: FFmpeg's options for the container and its streams.

    Raises:
        FFmpegError: it is missing, or no video.
        ValueError: its name or an option cannot be handed to FFmpeg.
    """
    return av.open(os.fspath(source), timeout=timeout, options=options, **_ANY_METADATA)
