"""HEIC images, as phones write them; they need the extra `heif`."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec

from fer_lmdb.errors import ImageError

HEIF_SUFFIXES = frozenset({".heic", ".heif", ".hif"})
HEAD_BYTES = 64
"""Bytes at the start of a file that `is_heif` needs."""
NEEDS_EXTRA = "HEIC needs pillow-heif, which is not installed; run: pip install 'fer-lmdb[heif]'"
_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"})


def is_heif(head: bytes) -> bool:
    """Return whether a file that starts with these bytes is HEIC; AVIF has the same container and is not."""
    if head[4:8] != b"ftyp":
        return False
    size = min(int.from_bytes(head[:4], "big"), len(head))
    brands = {head[8:12], *(head[at : at + 4] for at in range(16, size, 4))}
    return not brands.isdisjoint(_BRANDS) and brands.isdisjoint({b"avif", b"avis"})


@cache
def has_heif() -> bool:
    """Return whether the extra is installed."""
    return find_spec("pillow_heif") is not None


def register_heif(name: str) -> None:
    """Make Pillow read HEIC.

    Args:
        name: Name of the image for the error message.

    Raises:
        ImageError: If the extra is not installed.
    """
    if not has_heif():
        raise ImageError(f"{name}: {NEEDS_EXTRA}")
    import pillow_heif

    pillow_heif.register_heif_opener()
