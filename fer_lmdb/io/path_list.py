"""Lists of paths as other programs write them to stdin: lines or NUL-separated, UTF-8 or UTF-16 with a mark."""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Iterator
from typing import BinaryIO

from fer_lmdb.errors import SourceError

MAX_PATH_BYTES = 4096
"""Maximum length of a path in bytes, as on Linux."""
_CHUNK = 65536
_BINARY = re.compile(rb"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]")
"""Control characters that no line of text contains."""
_EXPECTED = "expected paths, one per line or separated by NUL; pass an image or video by its name"


def read_path_list(stream: BinaryIO, name: str = "stdin") -> Iterator[str]:
    """Return the paths of a list one by one, as they arrive.

    What is no list is rejected before the first path is returned, if its beginning shows it: an image or a video,
    a line that is too long, or UTF-16 without a mark, whose letters would be taken for paths.

    Args:
        stream: Open binary file.
        name: Name for error messages.

    Raises:
        SourceError: If it is not a list of paths; during iteration as well.
    """
    head = _first_chunk(stream)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _decoded_lines(stream, head, name)
    head = head.removeprefix(codecs.BOM_UTF8)
    separator = b"\0" if b"\0" in head else b"\n"
    entries = head.split(separator)
    if separator == b"\0" and _is_no_text(entries):
        raise SourceError(f"{name}: is not a list of paths: found binary data or UTF-16 without a mark, {_EXPECTED}")
    for entry in entries[:-1]:
        _check(entry, separator, name)
    return _paths(stream, head, separator, name)


def _first_chunk(stream: BinaryIO) -> bytes:
    read = getattr(stream, "read1", stream.read)  # what is there, without waiting for more
    return bytes(read(_CHUNK))


def _is_no_text(entries: list[bytes]) -> bool:
    """Return whether NUL-separated entries are empty or single characters, or hold control characters."""
    inner = entries[:-1]
    return any(not entry for entry in inner) or (len(inner) > 1 and all(len(entry) == 1 for entry in inner))


def _paths(stream: BinaryIO, rest: bytes, separator: bytes, name: str) -> Iterator[str]:
    while True:
        *entries, rest = rest.split(separator)
        for entry in entries:
            _check(entry, separator, name)
            yield from _path(entry, separator)
        if len(rest) > MAX_PATH_BYTES:
            _check(rest, separator, name)
        chunk = _first_chunk(stream)
        if not chunk:
            break
        rest += chunk
    _check(rest, separator, name)
    yield from _path(rest, separator)


def _path(entry: bytes, separator: bytes) -> list[str]:
    text = entry if separator == b"\0" else entry.removesuffix(b"\r")
    return [os.fsdecode(text)] if text else []


def _decoded_lines(stream: BinaryIO, head: bytes, name: str) -> Iterator[str]:
    """Return the lines of a UTF-16 list; the beginning is checked at once."""
    decoder = codecs.getincrementaldecoder("utf-16")("strict")
    first = _decode(decoder, head, name)
    _check_lines(first, name)
    return _utf16_paths(stream, decoder, first, name)


def _utf16_paths(stream: BinaryIO, decoder: codecs.IncrementalDecoder, rest: str, name: str) -> Iterator[str]:
    while True:
        *lines, rest = rest.split("\n")
        _check_lines("\n".join(lines), name)
        yield from (line.removesuffix("\r") for line in lines if line.removesuffix("\r"))
        chunk = _first_chunk(stream)
        rest += _decode(decoder, chunk, name, final=not chunk)
        if not chunk:
            break
    _check_lines(rest, name)
    if rest.removesuffix("\r"):
        yield rest.removesuffix("\r")


def _decode(decoder: codecs.IncrementalDecoder, data: bytes, name: str, final: bool = False) -> str:
    try:
        return decoder.decode(data, final)
    except UnicodeDecodeError as error:
        raise SourceError(f"{name}: is not a list of paths: damaged UTF-16 ({error.reason}), {_EXPECTED}") from None


def _check_lines(text: str, name: str) -> None:
    for line in text.split("\n"):
        _check(line.encode("utf-8", "surrogatepass"), b"\n", name)


def _check(entry: bytes, separator: bytes, name: str) -> None:
    if len(entry) > MAX_PATH_BYTES:
        raise SourceError(f"{name}: is not a list of paths: found an entry of {len(entry):,} bytes, {_EXPECTED}")
    found = _BINARY.search(entry) if separator == b"\n" else None
    if found or (separator == b"\n" and b"\0" in entry):
        raise SourceError(f"{name}: is not a list of paths: found binary data, {_EXPECTED}")
