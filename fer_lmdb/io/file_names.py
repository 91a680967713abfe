"""File names: made from texts of users, printable in messages, short enough for temporary files."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path

from fer_lmdb.choices import PLOT_SUFFIXES
from fer_lmdb.errors import OptionError

MAX_BYTES = 100
"""Longest slug in UTF-8; leaves room for suffixes below the 255 bytes of common file systems."""

MAX_NAME_BYTES = 255
"""Longest name of a file on common file systems."""

_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)", re.IGNORECASE)
"""Names of devices on Windows."""


def slug(text: str, default: str = "unnamed") -> str:
    """Return a text as one part of a path: no separator, no leading dot, no control or format character.

    Args:
        text: Any text, e.g. the name of a model that was read from a file.
        default: Returned if nothing is left of the text.
    """
    printable = unicodedata.normalize("NFC", text).encode("utf-8", "ignore").decode("utf-8")
    safe = re.sub(r"[^\w.+-]+", "_", printable).strip("._")
    safe = safe.encode("utf-8")[:MAX_BYTES].decode("utf-8", "ignore").rstrip(".")
    return f"_{safe}" if _RESERVED.match(safe) else safe or default


def printable_path(path: str | os.PathLike[str]) -> str:
    """Return a file name in one printable line, with other characters and bytes escaped."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


def sibling(path: Path, before: str = "", after: str = "") -> Path:
    """Return a path in the same folder: the name with text before and after it, shortened to what a file may have."""
    name = shorten(path.name, MAX_NAME_BYTES - len(os.fsencode(before + after)))
    return path.with_name(f"{before}{name}{after}")


def shorten(name: str, size: int) -> str:
    """Return a name, or its beginning if it has more bytes than `size`."""
    encoded = os.fsencode(name)
    return name if len(encoded) <= size else encoded[:size].decode("utf-8", "ignore")


def check_plot_suffix(path: Path, *, or_folder: bool = False) -> None:
    """Check that a plot can be written in the format of a file's ending.

    Args:
        path: File to write.
        or_folder: Whether it may be a folder: an existing one, or a path without an ending.

    Raises:
        OptionError: If the ending is not one of `PLOT_SUFFIXES`.
    """
    if or_folder and (path.is_dir() or not path.suffix):
        return
    if path.suffix.lower() not in PLOT_SUFFIXES:
        raise OptionError(
            f'invalid plot "{printable_path(path)}": found the ending "{path.suffix}", expected one of '
            f"{' '.join(PLOT_SUFFIXES)}; choose another file"
        )
