"""Marks in the files that this program writes; a file with its mark may be replaced.

PNG, JPEG, WebP, TIFF   field "Software"                 SVG, PDF      field "Creator"
GIF, MP4, MKV, WebM     comment                          ONNX          producer
safetensors             "format" in the metadata         CSV           header
deploy.prototxt         first line, with the digests of the other files of the export (README.md as well)

BMP, PPM and PGM have no place for a mark.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from fer_lmdb._version import __version__

NAME = "fer-lmdb"
MARK = f"{NAME} {__version__}"
CSV_HEADER = "path,frame,time_s,"
MODEL_FORMAT = f"{NAME} model "
PROTOTXT_LINE = f"# Written by {NAME}"
SOFTWARE_TAG = 0x0131
"""Field "Software" of EXIF and TIFF."""
_HEAD_BYTES = 4096
_MAX_HEADER_BYTES = 100_000_000
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError)


def has_mark(path: Path, suffix: str | None = None) -> bool:
    """Return whether a file was written by this program and is of the kind that its suffix says.

    Args:
        path: Existing regular file.
        suffix: Suffix that decides the kind; None takes that of the path.
    """
    read = _READERS.get((path.suffix if suffix is None else suffix).lower())
    if read is None:
        return False
    with suppress(*_UNREADABLE):
        return read(path)
    return False


def safetensors_format(path: Path) -> str | None:
    """Return the format in the metadata of a .safetensors file, whatever its suffix; None if it is none."""
    with suppress(*_UNREADABLE, struct.error), path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if not 2 <= length <= min(_MAX_HEADER_BYTES, os.fstat(file.fileno()).st_size):
            return None
        return str(json.loads(file.read(length))["__metadata__"]["format"])
    return None


def figure_metadata(suffix: str) -> dict[str, Any]:
    """Return arguments for matplotlib's `savefig` that mark a figure, by the suffix of its file."""
    suffix = suffix.lower()
    if suffix == ".png":
        return {"metadata": {"Software": MARK}}
    if suffix in (".svg", ".pdf"):
        return {"metadata": {"Creator": MARK}}
    if suffix in _IMAGE_SUFFIXES:
        return {"pil_kwargs": image_options(suffix)}
    return {}


def image_options(suffix: str) -> dict[str, Any]:
    """Return arguments for Pillow's `save` that mark an image, by the suffix of its file."""
    from PIL import Image, PngImagePlugin

    suffix = suffix.lower()
    if suffix == ".png":
        info = PngImagePlugin.PngInfo()
        info.add_text("Software", MARK)
        return {"pnginfo": info}
    if suffix in (".jpg", ".jpeg", ".webp"):
        exif = Image.Exif()
        exif[SOFTWARE_TAG] = MARK
        return {"exif": exif.tobytes()}
    if suffix in (".tif", ".tiff"):
        return {"tiffinfo": {SOFTWARE_TAG: MARK}}
    return {"comment": MARK.encode()} if suffix == ".gif" else {}


def svg_mark(text: str) -> str:
    """Return the text of an SVG with a mark."""
    return text.replace("<svg", f"<!-- Written by {MARK} --><svg", 1)


def prototxt_mark(files: Sequence[Path]) -> str:
    """Return the first line of a deploy.prototxt, which marks the other files of an export by their digests."""
    parts = ", ".join(f"{path.name} sha256 {_sha256(path)}" for path in files)
    return f"{PROTOTXT_LINE} {__version__} with {parts}\n"


def _is_ours(text: Any) -> bool:
    text = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return isinstance(text, str) and text.startswith(f"{NAME} ")


def _image(path: Path) -> bool:
    from PIL import Image

    with Image.open(path) as image:
        found = [image.info.get("Software"), image.info.get("comment")]
        return any(map(_is_ours, [*found, image.getexif().get(SOFTWARE_TAG)]))


def _video(path: Path) -> bool:
    import av

    from fer_lmdb.io.container import open_input

    try:
        with open_input(path) as container:
            return any(key.lower() == "comment" and _is_ours(text) for key, text in container.metadata.items())
    except av.error.FFmpegError:
        return False


def _onnx(path: Path) -> bool:
    """The producer is the second field of the message; protobuf writes fields in the order of their numbers."""
    field = b"\x12" + bytes([len(NAME)]) + NAME.encode()
    return field in _head(path)[:64]


def _csv(path: Path) -> bool:
    return _head(path).startswith(CSV_HEADER.encode())


def _vector(path: Path) -> bool:
    """SVG names its creator at the beginning, PDF at the beginning or the end."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
        file.seek(max(0, os.fstat(file.fileno()).st_size - _HEAD_BYTES))
        tail = file.read()
    return any(f"{before}{NAME} ".encode() in head + tail for before in ("<dc:title>", "(", "<!-- Written by "))


def _prototxt(path: Path) -> bool:
    return _head(path).startswith(PROTOTXT_LINE.encode())


def _caffe_binary(path: Path) -> bool:
    """Protobuf's files have no place for a mark; the prototxt of the export beside them has their digests."""
    line = _head(path.with_name("deploy.prototxt")).split(b"\n")[0]
    return line.startswith(PROTOTXT_LINE.encode()) and f"{path.name} sha256 {_sha256(path)}".encode() in line


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD_BYTES)


_IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".gif")
_READERS: dict[str, Callable[[Path], bool]] = {
    **dict.fromkeys(_IMAGE_SUFFIXES, _image),
    **dict.fromkeys((".mp4", ".m4v", ".mov", ".mkv", ".webm"), _video),
    ".onnx": _onnx,
    ".csv": _csv,
    ".svg": _vector,
    ".pdf": _vector,
    ".prototxt": _prototxt,
    ".caffemodel": _caffe_binary,
    ".binaryproto": _caffe_binary,
    ".md": _caffe_binary,
    ".safetensors": lambda path: (safetensors_format(path) or "").startswith(MODEL_FORMAT),
}
