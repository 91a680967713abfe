"""Readers and writers of prototxt, caffemodel, binaryproto and solverstate files."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from google.protobuf.message import DecodeError

from prototxt_like.errors import FileError
from prototxt_like.io import text_format
from prototxt_like.io.blobs import array_to_blob, blob_to_array
from prototxt_like.io.upgrade import upgrade_net, upgrade_solver
from prototxt_like.limits import format_shape
from prototxt_like.schema.caffe_schema_pb2 import (
    BlobProto,
    NetParameter,
    SolverParameter,
    SolverState,
    TransformationParameter,
)

if TYPE_CHECKING:
    from google.protobuf.message import Message

M = TypeVar("M", bound="Message")
PathLike = str | os.PathLike[str]

#: Larger files are rejected before reading. The first is far above any prototxt; the second is protobuf's own limit.
MAX_TEXT_BYTES = 4 * 2**20
MAX_BINARY_BYTES = 2**31 - 1


def parse_net(content: str, name: str = "<text>") -> NetParameter:
    """Parse a net from prototxt text. Older layouts are upgraded.

    Args:
        content: Prototxt text.
        name: Name for error messages.

    Raises:
        ParseError: If the text is not a valid net. The message contains line and column.
    """
    return _upgraded(text_format.parse(content, NetParameter(), name), name)


def parse_solver(content: str, name: str = "<text>") -> SolverParameter:
    """Parse a solver from prototxt text. Older layouts are upgraded.

    Args:
        content: Prototxt text.
        name: Name for error messages.

    Raises:
        FileError: If the text is not a valid solver. For syntax errors this is a ParseError with line and column.
    """
    with naming(name):
        return upgrade_solver(text_format.parse(content, SolverParameter(), name))


def parse_transform(content: str, name: str = "<text>") -> TransformationParameter:
    """Parse a TransformationParameter from prototxt text.

    Raises:
        ParseError: If the text is not a valid TransformationParameter. The message contains line and column.
    """
    return text_format.parse(content, TransformationParameter(), name)


def to_text(message: Message) -> str:
    """Format any message as prototxt text."""
    return text_format.write(message)


def read_net(path: PathLike) -> NetParameter:
    """Read a net from a prototxt or a caffemodel, detected by content.

    Raises:
        FileError: If the file cannot be read or is not a net.
    """
    content = read_bytes(path, MAX_BINARY_BYTES)
    if is_text(content):
        return parse_net(_decode(content, path), str(path))
    if content.startswith(b"\x89HDF"):
        raise FileError(f"{path}: HDF5 weights are not supported; save them in Caffe with snapshot_format: BINARYPROTO")
    net = parse_binary(content, NetParameter(), str(path))
    del content  # half a gigabyte, for VGG16
    return _upgraded(net, str(path))


def read_solver(path: PathLike) -> SolverParameter:
    """Read a solver.prototxt.

    Raises:
        FileError: If the file cannot be read or is not a solver.
    """
    return parse_solver(_decode(read_bytes(path, MAX_TEXT_BYTES), path), str(path))


def read_solver_state(path: PathLike) -> SolverState:
    """Read a .solverstate file.

    Raises:
        FileError: If the file cannot be read or is not a solverstate.
    """
    return parse_binary(read_bytes(path, MAX_BINARY_BYTES), SolverState(), str(path))


def read_mean(path: PathLike) -> np.ndarray:
    """Read a mean image from a binaryproto.

    Returns:
        (C, H, W) float32, 0 to 255, channels in the order of the database (B, G, R for color).

    Raises:
        FileError: If the file cannot be read or does not contain exactly one image.
    """
    mean = read_blob(path)
    if mean.ndim == 4 and mean.shape[0] == 1:
        mean = mean[0]
    if mean.ndim != 3 or mean.size == 0:
        raise FileError(
            f"{path}: wrong shape of a mean image: found {format_shape(mean.shape)}, expected 1 x C x H x W"
        )
    return mean


def read_blob(path: PathLike) -> np.ndarray:
    """Read a blob from a binaryproto.

    Returns:
        float32 array of any shape.

    Raises:
        FileError: If the file cannot be read or does not contain a blob.
    """
    return blob_to_array(parse_binary(read_bytes(path, MAX_BINARY_BYTES), BlobProto(), str(path)), str(path))


def write_mean(mean: np.ndarray, path: PathLike) -> None:
    """Write a mean image as Caffe's compute_image_mean does.

    Args:
        mean: (C, H, W) or (1, C, H, W) float32.
        path: Path of the binaryproto to write.

    Raises:
        FileError: If the mean has another shape, or the file cannot be written.
    """
    mean = np.asarray(mean)
    if not (mean.ndim == 3 or (mean.ndim == 4 and mean.shape[0] == 1)):
        raise FileError(f"wrong shape of a mean image: found {format_shape(mean.shape)}, expected C x H x W")
    write_binary(array_to_blob(mean, legacy=True), path)


def write_text(message: Message, path: PathLike) -> None:
    """Write a message as prototxt."""
    write_bytes(text_format.write(message).encode(), path)


def write_binary(message: Message, path: PathLike) -> None:
    """Write a message in protobuf's binary format, e.g. a caffemodel, binaryproto or solverstate."""
    try:
        content = message.SerializeToString(deterministic=True)
    except Exception as error:  # protobuf's EncodeError lists the missing fields
        raise FileError(f"{path}: cannot be written: {error}") from None
    write_bytes(content, path)


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


def _upgraded(net: NetParameter, name: str) -> NetParameter:
    with naming(name):
        return upgrade_net(net)


def _decode(content: bytes, path: PathLike) -> str:
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
