"""Whether a file is an image, an animation or a video, by its content and not by its name."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Literal

from PIL import Image

from fer_lmdb.io.pillow import FORMATS
from fer_lmdb.runtime.logging import silenced

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp", ".ts", ".mts", ".m2ts"}
    | {".mxf", ".ogv", ".mjpeg", ".mjpg"}
)
"""Lower-case suffixes of videos in a folder. The format of a file is determined by its content."""
ANIMATION_SUFFIXES = frozenset({".gif", ".webp", ".apng", ".png", ".tif", ".tiff", ".avif"})
"""Lower-case suffixes of images that may have several frames or pages."""

FileKind = Literal["image", "animation", "video"]

_HEAD_BYTES = 4096
_MOTION_JPEG_SUFFIXES = frozenset({".mjpeg", ".mjpg"})
_VIDEO_STARTS = (b"\x1aE\xdf\xa3", b"FLV", b"OggS", b"0&\xb2u", b"\x06\x0e+4", b"\0\0\1\xba", b"\0\0\1\xb3")
"""First bytes of Matroska, FLV, Ogg, ASF, MXF, MPEG program streams and MPEG video."""
_IMAGE_STARTS = (b"\xff\xd8\xff", b"BM", b"\0\0\1\0", b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51")
"""First bytes of JPEG, BMP, ICO and JPEG 2000."""
_IMAGE_BRANDS = frozenset({b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})


def file_kind(path: Path) -> FileKind:
    """Return what a file is; a file that is missing or not recognized is what its suffix says.

    Args:
        path: File; the first bytes are read, of what may be an animation the header.
    """
    by_suffix: FileKind = "video" if path.suffix.lower() in VIDEO_SUFFIXES else "image"
    head = _head(path)
    if head.startswith(_IMAGE_STARTS):
        return "video" if path.suffix.lower() in _MOTION_JPEG_SUFFIXES else "image"
    if _may_be_animated(head):
        return "animation" if _has_frames(path) else "image"
    if head.startswith(b"\x89PNG"):
        return "image"
    if head[4:8] == b"ftyp":
        return "image" if head[8:12] in _IMAGE_BRANDS else "video"
    if head.startswith(_VIDEO_STARTS) or (head[:4] == b"RIFF" and head[8:12] == b"AVI ") or _is_transport_stream(head):
        return "video"
    return by_suffix


def is_animation(path: Path) -> bool:
    """Return whether an image file has several frames or pages; False if it cannot be read."""
    return path.suffix.lower() in ANIMATION_SUFFIXES and _may_be_animated(_head(path)) and _has_frames(path)


def _has_frames(path: Path) -> bool:
    try:
        with silenced(modules=r"PIL\."), Image.open(path, formats=FORMATS) as image:
            return bool(getattr(image, "is_animated", False))
    except Exception:  # damaged files raise many types; the reader reports them
        return False


def _head(path: Path) -> bytes:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return b""
        with path.open("rb") as file:
            return file.read(_HEAD_BYTES)
    except (OSError, ValueError):  # ValueError: a NUL byte in the name
        return b""


def _may_be_animated(head: bytes) -> bool:
    if head.startswith(b"\x89PNG"):
        return b"acTL" in head
    is_webp = head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    return head.startswith((b"GIF8", b"II*\0", b"MM\0*")) or is_webp or head[4:12] in (b"ftypavis", b"ftypavif")


def _is_transport_stream(head: bytes) -> bool:
    """Return whether packets of 188 bytes, or of 192 on discs and camcorders, start with the sync byte."""
    return any(
        len(head) > first + 2 * step and all(head[first + step * k] == 0x47 for k in range(3))
        for first, step in ((0, 188), (4, 192))
    )
