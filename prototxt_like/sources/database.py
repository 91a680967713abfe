"""Data layer: records of an LMDB or LevelDB, in the order of their keys."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import numpy as np
import torch
from google.protobuf.message import DecodeError

from prototxt_like import glog
from prototxt_like.errors import FileError
from prototxt_like.io.datum_store import open_leveldb
from prototxt_like.schema.caffe_schema_pb2 import Datum
from prototxt_like.sources.base import ImageSource

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


class DatabaseSource(ImageSource):
    """Source of a Data layer.

    Args:
        layer: Data layer whose ``source`` is an existing database.
        phase: "TRAIN" or "TEST".
        generator: Random numbers of the transform.

    Raises:
        FileError: If the database cannot be read or is empty.
    Source: BVLC/caffe src/caffe/layers/data_layer.cpp
    """

    def __init__(self, layer: LayerParameter, phase: str, generator: torch.Generator) -> None:
        super().__init__(layer, phase, layer.data_param.batch_size, generator)
        self.path = layer.data_param.source
        if layer.data_param.rand_skip:
            glog.warning("data_layer.cpp:21", f"Layer {layer.name} ignores rand_skip, as in Caffe since 1.0.")
        self._records = self._cycle()
        self._first: tuple[np.ndarray, int] | None = self._read()
        self.set_shapes(self._first[0])

    def next_image(self) -> tuple[np.ndarray, int]:
        """Return the next image and its label; after the last record, start again."""
        first, self._first = self._first, None
        return first if first is not None else self._read()

    def _read(self) -> tuple[np.ndarray, int]:
        key, value = next(self._records)
        return decode_datum(value, f"{self.path}: {key.decode(errors='backslashreplace')}")

    def _cycle(self) -> Iterator[tuple[bytes, bytes]]:
        while True:
            record = None
            for record in database_records(self.path):
                yield record
            if record is None:
                raise self.fail(f"{self.path} has no records; build the database again")
            glog.info("data_layer.cpp:73", "Restarting data prefetching from start.")


def database_records(path: str) -> Iterator[tuple[bytes, bytes]]:
    """Yield the keys and values of an LMDB or LevelDB in the order of the keys.

    Raises:
        FileError: If the folder is not a database, or the package that reads it is missing.
    """
    if (Path(path) / "data.mdb").is_file():
        return _lmdb_records(path)
    if (Path(path) / "CURRENT").is_file():
        return _leveldb_records(path)
    raise FileError(f"{path} is not a database: found neither data.mdb (LMDB) nor CURRENT (LevelDB)")


def _lmdb_records(path: str) -> Iterator[tuple[bytes, bytes]]:
    import lmdb

    try:
        shared = _open_shared(path)
        with shared.environment.begin() as transaction:
            yield from transaction.cursor()
    except lmdb.Error as error:
        raise FileError(f"{path}: {error}") from None


class _SharedEnvironment:
    """Open LMDB that several sources use; closed with the last of them. A process may open it only once."""

    def __init__(self, path: str) -> None:
        import lmdb

        self.environment = lmdb.open(path, readonly=True, lock=False, create=False)

    def __del__(self) -> None:
        if hasattr(self, "environment"):
            self.environment.close()


def _open_shared(path: str) -> _SharedEnvironment:
    key = str(Path(path).resolve())
    shared = _ENVIRONMENTS.get(key)
    if shared is None:
        shared = _ENVIRONMENTS[key] = _SharedEnvironment(path)
    return shared


_ENVIRONMENTS: WeakValueDictionary[str, _SharedEnvironment] = WeakValueDictionary()


def _leveldb_records(path: str) -> Iterator[tuple[bytes, bytes]]:
    with open_leveldb(Path(path)) as base:
        yield from base.iterator(verify_checksums=True)


def decode_datum(value: bytes, location: str) -> tuple[np.ndarray, int]:
    """Decode a serialized Datum.

    Args:
        value: Serialized Datum: raw, encoded or float.
        location: Database and key, for messages.

    Returns:
        (C, H, W) uint8 or float32, color channels blue, green, red; and the label.

    Raises:
        FileError: If the bytes are not a Datum with an image.
    """
    try:
        datum = Datum.FromString(value)
    except DecodeError:
        raise FileError(f"{location} is not a Datum; build the database with convert_imageset") from None
    if datum.encoded:
        return _decode_image(datum.data, location), datum.label
    shape = (datum.channels, datum.height, datum.width)
    array = np.frombuffer(datum.data, np.uint8) if datum.data else np.array(datum.float_data, np.float32)
    if array.size == 0 or array.size != np.prod(shape):
        raise FileError(f"{location}: found {array.size} values, expected {shape[0]} x {shape[1]} x {shape[2]}")
    return array.reshape(shape), datum.label


def _decode_image(data: bytes, location: str) -> np.ndarray:
    import cv2

    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if data else None
    if image is None or image.dtype != np.uint8:
        raise FileError(f"{location}: the encoded image is damaged or not 8-bit")
    if image.ndim == 2:
        return np.asarray(image)[None]
    return np.ascontiguousarray(np.asarray(image)[..., :3].transpose(2, 0, 1))  # without an alpha channel
