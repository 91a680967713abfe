"""Record keys ``%08d_<name>``; LMDB's order by key is the training order."""

from __future__ import annotations

import os

from prototxt_like.errors import StoreError

MAX_KEY_BYTES = 511
MAX_RECORDS = 10**8  # keys with a ninth digit would sort before those with eight


def make_key(number: int, name: str) -> bytes:
    """Return Caffe's key of a record.

    Raises:
        StoreError: If the key is too long for LMDB, or the number has more than eight digits.
    """
    if number >= MAX_RECORDS:
        raise StoreError(
            f"found more than {MAX_RECORDS:,} records, the maximum of Caffe's keys; build several data sets"
        )
    key = f"{number:08d}_".encode() + os.fsencode(name)
    if len(key) > MAX_KEY_BYTES:
        raise StoreError(
            f"the key of {name!r} has {len(key)} bytes, expected at most {MAX_KEY_BYTES}; shorten the path"
        )
    return key


def key_name(key: str) -> str:
    """Return a key without its number."""
    return key.partition("_")[2]


def key_number(key: bytes) -> int:
    """Return the number at the beginning of a key, or -1."""
    number, underscore, _ = key.partition(b"_")
    return int(number) if underscore and number.isdigit() else -1


def printable_key(key: bytes) -> str:
    """Return a key as text for messages, also if it is not UTF-8."""
    return key.decode("utf-8", errors="backslashreplace")
