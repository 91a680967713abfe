"""Keys of records: ``%08d_<name>``, so that LMDB's order is the order of training."""

from __future__ import annotations

import os

from fer_lmdb.errors import StoreError

MAX_KEY_BYTES = 511
MAX_RECORDS = 10**8  # keys with a ninth digit would sort before those with eight


def make_key(number: int, name: str) -> bytes:
    """Return Caffe's key of a record.

    Raises:
        StoreError: LMDB cannot hold a key of that length, or Caffe's eight digits are used up.
    """
    if number >= MAX_RECORDS:
        raise StoreError(
            f"Caffe's keys number {MAX_RECORDS:,} records at most, and here is one more; build several data sets"
        )
    key = f"{number:08d}_".encode() + os.fsencode(name)
    if len(key) > MAX_KEY_BYTES:
        raise StoreError(
            f"the name {name!r} makes a key of {len(key)} bytes, LMDB holds {MAX_KEY_BYTES}; shorten the path"
        )
    return key


def key_name(key: str) -> str:
    """Return a key without its number."""
    return key.partition("_")[2]


def key_number(key: bytes) -> int:
    """Return the number that a key begins with, -1 where it has none."""
    number, underscore, _ = key.partition(b"_")
    return int(number) if underscore and number.isdigit() else -1


def printable_key(key: bytes) -> str:
    """Return a key for a message, whatever bytes it has."""
    return key.decode("utf-8", errors="backslashreplace")
