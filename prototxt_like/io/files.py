"""Readers and writers of prototxt, caffemodel, binaryproto and solverstate files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from prototxt_like.errors import FileError
from prototxt_like.io import text_format
from prototxt_like.io.blobs import array_to_blob, blob_to_array
from prototxt_like.io.file_bytes import (
    MAX_BINARY_BYTES,
    MAX_TEXT_BYTES,
    PathLike,
    decode_text,
    is_text,
    naming,
    parse_binary,
    read_bytes,
    write_bytes,
)
from prototxt_like.io.hdf5 import SIGNATURE
from prototxt_like.io.hdf5_snapshots import read_hdf5_state, read_hdf5_weights
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
    """Read a net from a prototxt or a caffemodel (binary or HDF5), detected by content.

    Raises:
        FileError: If the file cannot be read or is not a net.
    """
    content = read_bytes(path, MAX_BINARY_BYTES)
    if is_text(content):
        return parse_net(decode_text(content, path), str(path))
    if content.startswith(SIGNATURE):
        return read_hdf5_weights(path)
    net = parse_binary(content, NetParameter(), str(path))
    del content  # half a gigabyte, for VGG16
    return _upgraded(net, str(path))


def read_solver(path: PathLike) -> SolverParameter:
    """Read a solver.prototxt.

    Raises:
        FileError: If the file cannot be read or is not a solver.
    """
    return parse_solver(decode_text(read_bytes(path, MAX_TEXT_BYTES), path), str(path))


def read_solver_state(path: PathLike) -> SolverState:
    """Read a .solverstate file, binary or HDF5.

    Raises:
        FileError: If the file cannot be read or is not a solverstate.
    """
    content = read_bytes(path, MAX_BINARY_BYTES)
    if content.startswith(SIGNATURE):
        return read_hdf5_state(path)
    return parse_binary(content, SolverState(), str(path))


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


def _upgraded(net: NetParameter, name: str) -> NetParameter:
    with naming(name):
        return upgrade_net(net)
