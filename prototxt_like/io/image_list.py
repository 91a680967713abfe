"""Image lists, one ``path label`` per line, as convert_imageset and the ImageData layer of Caffe read them.

As in Caffe, the label is the last word of a line, so a path may contain spaces, and a path is appended to a root folder
even if it begins with a slash. Unlike in Caffe, a label that is not a number is an error; Caffe reads it as 0.
"""

from __future__ import annotations

import codecs
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from prototxt_like.errors import FileError
from prototxt_like.io.file_bytes import PathLike

MAX_LINE = 1 << 16
"""Maximum number of characters in a line."""

_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_EXPECTED = "expected a path and a label, e.g. happy/1.jpg 3"


class LabeledPath(NamedTuple):
    """One line of a list, with the label as it is written.

    Attributes:
        path: The path; bytes that are not UTF-8 are surrogates, as from `os.fsdecode`.
        label: The last word of the line.
        line: Number of the line, from 1.
    """

    path: str
    label: str
    line: int


class ListedImage(NamedTuple):
    """One line of a list with a numeric label; see `LabeledPath`."""

    path: str
    label: int
    line: int


def read_image_list(path: PathLike) -> list[ListedImage]:
    """Read a list whose labels are numbers.

    Args:
        path: The list, UTF-8 or UTF-16 with a byte order mark.

    Returns:
        The entries in the order of the lines.

    Raises:
        FileError: If the file cannot be read, is empty or not a list, or a label is not an integer of 32 bits.
    """
    return [ListedImage(entry.path, _to_number(entry, path), entry.line) for entry in read_labeled_paths(path)]


def read_labeled_paths(path: PathLike) -> list[LabeledPath]:
    """Read a list whose labels are any words, e.g. class names.

    The whole list is checked before it is returned, so that no image is read if a line is wrong.

    Raises:
        FileError: If the file cannot be read, is empty or not a list.
    """
    entries = [_split(text, line, path) for line, text in _read_lines(path)]
    if not entries:
        raise FileError(f"{path}: the list is empty; {_EXPECTED} in each line")
    return entries


def read_path_list(path: PathLike) -> list[str]:
    """Read a list of paths without labels, e.g. the source of an HDF5Data layer.

    Raises:
        FileError: If the file cannot be read, is empty or not a list.
    """
    paths = [text for _, text in _read_lines(path)]
    if not paths:
        raise FileError(f"{path}: the list is empty; expected one path in each line")
    return paths


def listed_path(root: str, path: str) -> str:
    """Append the path of an entry to a root folder, with one slash between them; an empty root changes nothing."""
    return f"{root.rstrip('/')}/{path.lstrip('/')}" if root else path


def _read_lines(path: PathLike) -> Iterator[tuple[int, str]]:
    """Yield the numbers and texts of all lines that are not blank."""
    line = 0
    try:
        encoding, errors = _find_encoding(Path(path))
        with Path(path).open(encoding=encoding, errors=errors, newline="\n") as file:
            while text := file.readline(MAX_LINE):
                line += 1
                if "\0" in text or len(text) == MAX_LINE:
                    raise FileError(f"{path}:{line}: not a list of images: found binary data or a line too long")
                if text.strip():
                    yield line, text.rstrip()
    except UnicodeDecodeError as error:
        raise FileError(f"{path}:{line + 1}: cannot be decoded as {error.encoding}: {error.reason}") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the name
        raise FileError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _find_encoding(path: Path) -> tuple[str, str]:
    """Return the encoding of a list and its error handler.

    Raises:
        FileError: If it is a pipe or a device.
        OSError: If it cannot be read.
    """
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # a folder is reported when it is opened
        raise FileError(f"{path}: not a regular file; expected a list of images")
    with path.open("rb") as file:
        start = file.read(2)
    return ("utf-16", "strict") if start in _UTF16_MARKS else ("utf-8-sig", "surrogateescape")


def _split(text: str, line: int, path: PathLike) -> LabeledPath:
    words = text.rsplit(maxsplit=1)
    if len(words) != 2:
        raise FileError(f"{path}:{line}: no label: found {_short(text)}, {_EXPECTED}")
    return LabeledPath(words[0], words[1], line)


def _to_number(entry: LabeledPath, path: PathLike) -> int:
    digits = entry.label.removeprefix("-")
    if digits.isascii() and digits.isdecimal() and len(digits) <= 10 and -(2**31) <= int(entry.label) < 2**31:
        return int(entry.label)
    raise FileError(f"{path}:{entry.line}: invalid label: found {_short(entry.label)}, expected an integer")


def _short(text: str) -> str:
    """Return the beginning of a text in printable characters."""
    return ascii(text if len(text) <= 60 else f"{text[:60]}...")
