"""Bytes of files: bounded reading, atomic writing, decoding."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from google.protobuf.message import DecodeError

from prototxt_like.errors import FileError

if TYPE_CHECKING:
    from google.protobuf.message import Message

M = TypeVar("M", bound="Message")
PathLike = str | os.PathLike[str]

#: Larger files are rejected before reading. The first is far above any prototxt; the second is protobuf's own limit.
MAX_TEXT_BYTES = 4 * 2**20
MAX_BINARY_BYTES = 2**31 - 1
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"


def write_bytes(content: bytes, path: PathLike) -> None:
    """Write a file atomically: write a temporary file in the same folder, then rename it."""
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.chmod(temporary, 0o666 & ~_umask())  # noqa: PTH101 - mkstemp restricts access to the owner
            Path(temporary).replace(target)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise FileError(f"{path}: cannot be written: {error.strerror or error}") from None


def read_bytes(path: PathLike, limit: int) -> bytes:
    """Read a file.

    Args:
        path: Path of the file.
        limit: Maximum size in bytes.

    Raises:
        FileError: If the file cannot be read, is empty, or is larger than the limit.
    """
    try:
        with Path(path).open("rb") as file:
            status = os.fstat(file.fileno())  # read(n) allocates n bytes in advance
            expected = status.st_size if stat.S_ISREG(status.st_mode) else limit
            content = file.read(min(expected, limit) + 1)
    except OSError as error:
        raise FileError(f"{path}: cannot be read: {error.strerror or error}") from None
    if len(content) > limit:
        raise FileError(f"{path}: file too large: found more than {limit} bytes; use a Caffe file")
    if not content:
        raise FileError(f"{path}: the file is empty")
    if content.startswith(_LFS_POINTER):
        raise FileError(f"{path}: found a Git LFS pointer, expected the file it stands for; run git lfs pull")
    return content


def parse_binary(content: bytes, message: M, name: str) -> M:
    """Parse protobuf's binary format into a message.

    Raises:
        FileError: If the bytes are not such a message, e.g. because the file is truncated.
    """
    try:
        message.ParseFromString(content)
    except (DecodeError, RecursionError, UnicodeDecodeError) as error:
        kind = message.DESCRIPTOR.name
        raise FileError(f"{name}: not a complete {kind}, possibly truncated ({error})") from None
    return message


def is_text(content: bytes) -> bool:
    """Return whether the content is prototxt text rather than protobuf's binary format."""
    start = content[:4096]
    return not any(byte < 32 and byte not in b"\t\n\r\f\v" for byte in start)


@contextlib.contextmanager
def naming(name: str) -> Iterator[None]:
    """Context manager that prepends a file name to the messages of FileErrors without one."""
    try:
        yield
    except FileError as error:
        message = str(error)
        raise type(error)(message if message.startswith(name) else f"{name}: {message}") from None


def decode_text(content: bytes, path: PathLike) -> str:
    """Decode prototxt text as UTF-8, or as Latin-1 if it is not UTF-8.

    Args:
        content: Content of the file.
        path: Path for error messages.

    Raises:
        FileError: If the text is longer than any prototxt.
    """
    if len(content) > MAX_TEXT_BYTES:
        raise FileError(f"{path}: text too long: found more than {MAX_TEXT_BYTES} bytes; use a prototxt")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")  # e.g. author names in comments of old files


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
