"""Hidden files and folders, which are not part of a collection of images.

File managers and editors leave copies and thumbnails beside the images: ``.ipynb_checkpoints``, ``.AppleDouble``,
``._1.jpg`` (macOS on foreign disks), ``__MACOSX`` (its archives), ``@eaDir`` (Synology).
"""

from __future__ import annotations

HIDDEN_NAMES = frozenset(
    {"__macosx", "@eadir", "$recycle.bin", "system volume information", "thumbs.db", "desktop.ini"}
)
"""Lower-case names that count as hidden without a leading dot."""


def is_hidden(name: str) -> bool:
    """Return whether a file or folder of this name is ignored in a folder that is searched."""
    return name.startswith(".") or name.lower() in HIDDEN_NAMES
