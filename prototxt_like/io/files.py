"""Caffe's files: prototxt, solver.prototxt, caffemodel, binaryproto, solverstate."""

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

#: Larger files are refused unread: no prototxt comes near the first, and protobuf itself ends at the second.
MAX_TEXT_BYTES = 4 * 2**20
MAX_BINARY_BYTES = 2**31 - 1


def parse_net(content: str, name: str = "<text>") -> NetParameter:
    """A net out of prototxt text; older layouts are upgraded.

    Args:
        content: the text.
        name: what error messages call it.

    Raises:
        ParseError: not a net; the message gives line and column.
    """
    return _upgraded(text_format.parse(content, NetParameter(), name), name)


def parse_solver(content: str, name: str = "<text>") -> SolverParameter:
    """A solver out of prototxt text; ``parse_net`` for solvers."""
    with naming(name):
        return upgrade_solver(text_format.parse(content, SolverParameter(), name))


def parse_transform(content: str, name: str = "<text>") -> TransformationParameter:
    """A TransformationParameter out of prototxt text.

    Raises:
        ParseError: not one; the message gives line and column.
    """
    return text_format.parse(content, TransformationParameter(), name)


def to_text(message: Message) -> str:
    """Any message as prototxt text."""
    return text_format.write(message)


def read_net(path: PathLike) -> NetParameter:
    """A net out of a file: prototxt text, or a caffemodel, told apart by the content.

    Raises:
        FileError: the file cannot be read, or is not a net.
    """
    content = read_bytes(path, MAX_BINARY_BYTES)
    if is_text(content):
        return parse_net(_decode(content, path), str(path))
    if content.startswith(b"\x89HDF"):
        raise FileError(f"{path}: weights in HDF5 are not read; let Caffe save them with snapshot_format: BINARYPROTO")
    net = parse_binary(content, NetParameter(), str(path))
    del content  # half a gigabyte, for VGG16
    return _upgraded(net, str(path))


def read_solver(path: PathLike) -> SolverParameter:
    """A solver out of a solver.prototxt.

    Raises:
        FileError: the file cannot be read, or is not a solver.
    """
    return parse_solver(_decode(read_bytes(path, MAX_TEXT_BYTES), path), str(path))


def read_solver_state(path: PathLike) -> SolverState:
    """What a solver needs to go on, out of a .solverstate file.

    Raises:
        FileError: the file cannot be read, or is not a solverstate.
    """
    return parse_binary(read_bytes(path, MAX_BINARY_BYTES), SolverState(), str(path))


def read_mean(path: PathLike) -> np.ndarray:
    """A mean image out of a binaryproto.

    Returns:
        (C, H, W) float32, channels in the order of the data base (B, G, R for colour), 0 to 255.

    Raises:
        FileError: the file cannot be read, or does not hold one picture.
    """
    mean = read_blob(path)
    if mean.ndim == 4 and mean.shape[0] == 1:
        mean = mean[0]
    if mean.ndim != 3 or mean.size == 0:
        raise FileError(f"{path}: a mean image has the shape 1 x C x H x W, found {format_shape(mean.shape)}")
    return mean


def read_blob(path: PathLike) -> np.ndarray:
    """A blob of any shape out of a binaryproto.

    Returns:
        float32.

    Raises:
        FileError: the file cannot be read, or holds no blob.
    """
    return blob_to_array(parse_binary(read_bytes(path, MAX_BINARY_BYTES), BlobProto(), str(path)), str(path))


def write_mean(mean: np.ndarray, path: PathLike) -> None:
    """Write a mean image as Caffe's compute_image_mean does.

    Args:
        mean: (C, H, W) or (1, C, H, W) float32.
        path: the binaryproto to write.

    Raises:
        FileError: another shape.
    """
    mean = np.asarray(mean)
    if not (mean.ndim == 3 or (mean.ndim == 4 and mean.shape[0] == 1)):
        raise FileError(f"a mean image has the shape C x H x W, found {format_shape(mean.shape)}")
    write_binary(array_to_blob(mean, legacy=True), path)


def write_text(message: Message, path: PathLike) -> None:
    """Write a message as prototxt."""
    write_bytes(text_format.write(message).encode(), path)


def write_binary(message: Message, path: PathLike) -> None:
    """Write a message in protobuf's binary form: caffemodel, binaryproto, solverstate."""
    try:
        content = message.SerializeToString(deterministic=True)
    except Exception as error:  # protobuf names the missing fields in an EncodeError of its own
        raise FileError(f"{path}: cannot be written: {error}") from None
    write_bytes(content, path)


def write_bytes(content: bytes, path: PathLike) -> None:
    """Write a file whole or not at all: beside the target first, then renamed."""
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, beside = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.chmod(beside, 0o666 & ~_umask())  # noqa: PTH101 - mkstemp makes files for the owner alone
            Path(beside).replace(target)
        except BaseException:
            Path(beside).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise FileError(f"{path}: cannot be written: {error.strerror or error}") from None


def read_bytes(path: PathLike, limit: int) -> bytes:
    """The content of a file.

    Raises:
        FileError: it cannot be read, is empty, or is larger than the limit.
    """
    try:
        with Path(path).open("rb") as file:
            status = os.fstat(file.fileno())  # reading takes all memory that it is allowed, before it reads
            expected = status.st_size if stat.S_ISREG(status.st_mode) else limit
            content = file.read(min(expected, limit) + 1)
    except OSError as error:
        raise FileError(f"{path}: cannot be read: {error.strerror or error}") from None
    if len(content) > limit:
        raise FileError(f"{path}: more than {limit} bytes; that is no file of Caffe's")
    if not content:
        raise FileError(f"{path}: the file is empty")
    return content


def parse_binary(content: bytes, message: M, name: str) -> M:
    """Parse protobuf's binary form into a message.

    Raises:
        FileError: the bytes are not such a message; a truncated file is the usual reason.
    """
    try:
        message.ParseFromString(content)
    except (DecodeError, RecursionError, UnicodeDecodeError) as error:
        kind = message.DESCRIPTOR.name
        raise FileError(f"{name}: not a complete {kind}, perhaps truncated ({error})") from None
    return message


def is_text(content: bytes) -> bool:
    """Whether the first bytes look like prototxt rather than like protobuf's binary form."""
    start = content[:4096]
    return not any(byte < 32 and byte not in b"\t\n\r\f\v" for byte in start)


@contextlib.contextmanager
def naming(name: str) -> Iterator[None]:
    """Put the file's name in front of the messages of errors that do not know it."""
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
        raise FileError(f"{path}: more than {MAX_TEXT_BYTES} bytes of text; that is no prototxt")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")  # names in comments of old files


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
