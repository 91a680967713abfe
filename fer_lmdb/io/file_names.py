"""File names made from texts of files and users, such as the name of a model."""

from __future__ import annotations

import re
import unicodedata

MAX_BYTES = 100
"""Longest slug in UTF-8; leaves room for suffixes below the 255 bytes of common file systems."""

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
