"""LMDB databases of Datum, as Caffe's convert_imageset writes them. The only file that opens an LMDB.

A key is ``%08d_<name>``: the number is the record's place in the shuffled order, so that LMDB's own order
(by key) is the order of training. A value is a `Datum`: raw bytes with channels, height and width, or an
encoded picture with ``encoded`` set and no sizes.

Source: BVLC/caffe tools/convert_imageset.cpp, src/caffe/util/db_lmdb.cpp, src/caffe/util/io.cpp
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal

import lmdb
import numpy as np
from google.protobuf.message import DecodeError
from lmdb.verify import VerifyError, verify
from numpy.typing import NDArray

from fer_lmdb.errors import StoreError
from prototxt_like.schema.caffe_schema_pb2 import Datum

Encoding = Literal["raw", "png"]

FIRST_MAP_BYTES = 16 << 20
RECORDS_A_COMMIT = 1000
LONGEST_KEY = 511
MOST_RECORDS = 10**8  # keys with a ninth digit would sort before those with eight


@dataclass(frozen=True)
class Record:
    """One labelled face.

    Attributes:
        key: ``%08d_<name>`` in bytes; a name that is not UTF-8 survives.
        image: (H, W) uint8, 0 black to 255 white.
        label: the class, in the order of the data set's label scheme.
    """

    key: bytes
    image: NDArray[np.uint8]
    label: int


@dataclass(frozen=True)
class Split:
    """A whole database in memory.

    Attributes:
        keys: N keys, in order; bytes that are not UTF-8 appear as surrogates (see `os.fsdecode`).
        images: (N, 1, H, W) uint8.
        labels: (N,) int64.
    """

    keys: list[str]
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]


# ------------------------------------------------------------------ writing


def make_key(number: int, name: str) -> bytes:
    """Return Caffe's key of a record.

    Raises:
        StoreError: LMDB cannot hold a key of that length, or Caffe's eight digits are used up.
    """
    if number >= MOST_RECORDS:
        raise StoreError(
            f"Caffe's keys number {MOST_RECORDS:,} records at most, and here is one more; build several data sets"
        )
    key = f"{number:08d}_".encode() + os.fsencode(name)
    if len(key) > LONGEST_KEY:
        raise StoreError(
            f"the name {name!r} makes a key of {len(key)} bytes, LMDB holds {LONGEST_KEY}; shorten the path"
        )
    return key


def encode_datum(image: NDArray[np.uint8], label: int, encoding: Encoding = "raw") -> bytes:
    """Return the bytes of a Datum as Caffe writes them.

    Args:
        image: (H, W) uint8 grey.
        label: the class.
        encoding: "raw" pixels or a lossless "png".
    """
    if encoding == "raw":
        height, width = image.shape
        datum = Datum(channels=1, height=height, width=width, data=image.tobytes(), label=label, encoded=False)
    else:
        datum = Datum(data=_encode_png(image), label=label, encoded=True)
    return datum.SerializeToString(deterministic=True)


def encode_votes(votes: Sequence[float], label: int) -> bytes:
    """Return the bytes of a Datum that carries numbers instead of a picture, e.g. the votes of FER+."""
    return Datum(label=label, float_data=votes).SerializeToString(deterministic=True)


class StoreWriter:
    """Writes a new database; use it as a context manager.

    The map starts small and doubles whenever it is full; the records of the commit that
    failed are then put again.

    Args:
        path: the database's folder; made, must not hold a database yet.
        encode: how `append` stores a picture.
        first: number of the first record; that of a shard goes on from the shard before.
        total: a digest that all shards are added to.
    Raises:
        StoreError: the folder holds a database, cannot be written, or the disk is full.
    """

    def __init__(
        self,
        path: Path,
        encode: Encoding = "raw",
        map_bytes: int = FIRST_MAP_BYTES,
        first: int = 0,
        total: hashlib._Hash | None = None,
    ) -> None:
        self.path = Path(path)
        self.encode: Encoding = encode
        self.count = 0
        self._first = first
        self._map_bytes = map_bytes
        self._waiting: list[tuple[bytes, bytes]] = []
        self._digest = hashlib.sha256()
        self._digests = [self._digest, *([total] if total is not None else [])]
        if (self.path / "data.mdb").exists():
            raise StoreError(f"{self.path} holds a database already; choose a new folder")
        with _as_store_error(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            # As bytes: lmdb would refuse a path that is not UTF-8.
            self._environment = lmdb.open(os.fsencode(self.path), map_size=map_bytes, sync=False, max_dbs=0)

    def append(self, name: str, image: NDArray[np.uint8], label: int) -> None:
        """Write the next face; its number in the key is how many came before it."""
        self.append_value(name, encode_datum(image, label, self.encode))

    def append_value(self, name: str, value: bytes) -> None:
        """Write the next record with a value made by `encode_datum` or `encode_votes`."""
        key = make_key(self._first + self.count, name)
        self._waiting.append((key, value))
        for digest in self._digests:
            _add_to_digest(digest, key, value)
        self.count += 1
        if len(self._waiting) >= RECORDS_A_COMMIT:
            self._commit()

    @property
    def sha256(self) -> str:
        """Digest of all keys and values written so far, in order; `digest` computes the same from the file."""
        return self._digest.hexdigest()

    def close(self) -> None:
        """Write what waits, bring it onto the disk and close the database."""
        with _as_store_error(self.path):
            self._commit()
            self._environment.sync(True)
        self._environment.close()

    def __enter__(self) -> StoreWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._environment.close()

    def _commit(self) -> None:
        with _as_store_error(self.path):
            while not self._try_commit():
                self._map_bytes *= 2
                self._environment.set_mapsize(self._map_bytes)
        self._waiting.clear()

    def _try_commit(self) -> bool:
        """Put everything that waits in one transaction; False where the map is too small for it."""
        try:
            with self._environment.begin(write=True) as transaction:
                for key, value in self._waiting:
                    transaction.put(key, value, append=True)
        except lmdb.MapFullError:
            return False
        return True


# ------------------------------------------------------------------ reading


def read_split(path: Path) -> Split:
    """Read a whole database of faces into memory, in one pass.

    Raises:
        StoreError: the database is missing, damaged, empty or holds pictures of several sizes.
    """
    keys: list[str] = []
    labels: list[int] = []
    with _reading(path) as (count, records):
        images: NDArray[np.uint8] | None = None
        for number, (key, value) in enumerate(records):
            image, label = decode_datum(value, f"{path}: {_text(key)}")
            if images is None:
                images = np.empty((count, 1, *image.shape), dtype=np.uint8)
            if number >= count:
                raise StoreError(f"{path} holds more records than it counts ({count}); the file is damaged")
            if images.shape[2:] != image.shape:
                raise StoreError(_sizes_differ(path, key, image.shape, images.shape[2:]))
            images[number, 0] = image
            keys.append(os.fsdecode(key))
            labels.append(label)
    if images is None:
        raise StoreError(f"{path} holds no record; build the data set again")
    if len(keys) != count:
        raise StoreError(f"{path} counts {count} records and holds {len(keys)}; the file is damaged")
    return Split(keys, images, np.array(labels, dtype=np.int64))


def iterate(path: Path) -> Iterator[Record]:
    """Yield every face in the order of the keys, holding one at a time.

    Raises:
        StoreError: the database is missing or damaged.
    """
    for key, value in iterate_values(path):
        image, label = decode_datum(value, f"{path}: {_text(key)}")
        yield Record(key, image, label)


def iterate_values(path: Path) -> Iterator[tuple[bytes, bytes]]:
    """Yield every key with its undecoded value, in the order of the keys."""
    with _reading(path) as (_, records):
        yield from records


def read_votes(path: Path) -> tuple[list[str], NDArray[np.float32]]:
    """Read a database whose records carry numbers (`encode_votes`).

    Returns:
        keys and (N, K) float32.
    Raises:
        StoreError: it is missing, damaged, empty, or its records differ in length.
    """
    keys, rows = [], []
    for key, value in iterate_values(path):
        keys.append(os.fsdecode(key))
        rows.append(np.array(_parse(value, f"{path}: {_text(key)}").float_data, dtype=np.float32))
    if not rows or len({len(row) for row in rows}) != 1:
        raise StoreError(f"{path} is no database of votes: its records do not hold one and the same number of votes")
    return keys, np.stack(rows)


def count_records(path: Path) -> int:
    """Return how many records a database says it holds."""
    with _reading(path) as (count, _):
        return count


class Lookup:
    """Finds records of a finished database by their place, without reading the others.

    An LMDB that is open does not survive a fork. So it is opened for each call and closed again, and any number of
    processes may use one `Lookup`, inherit it or have it sent. A process that will not fork any more says `keep_open`:
    a batch is then read three times as fast.

    Args:
        path: the database's folder. Its keys have to be numbered without a gap, as ours and Caffe's are.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._first: int | None = None
        self._kept: lmdb.Environment | None = None
        self._open = ExitStack()

    def values(self, places: Iterable[int]) -> Iterator[tuple[bytes, bytes]]:
        """Yield key and value of the records at those places, counted from 0 in the order of the keys.

        Raises:
            StoreError: the database is missing, damaged or not numbered.
        """
        opened = nullcontext(self._kept) if self._kept is not None else _opened(self.path, readahead=False)
        with _as_store_error(self.path), opened as environment, environment.begin() as transaction:
            cursor = transaction.cursor()
            if self._first is None:
                self._first = _number_of(cursor.key()) if cursor.first() else 0
            for place in places:
                prefix = b"%08d_" % (self._first + place)
                if not cursor.set_range(prefix) or not cursor.key().startswith(prefix):
                    raise StoreError(_no_such_number(self.path, place, prefix))
                yield cursor.key(), cursor.value()

    def keep_open(self) -> None:
        """Open the database and leave it open."""
        if self._kept is None:
            # What lies beside a record that was drawn by chance is not needed next: no read-ahead.
            self._kept = self._open.enter_context(_opened(self.path, readahead=False))

    def __getstate__(self) -> dict[str, object]:
        return {"path": self.path, "_first": self._first, "_kept": None, "_open": ExitStack()}


def read_labels(path: Path) -> NDArray[np.int64]:
    """Read the labels of a database in one pass, and make sure that a `Lookup` finds every record by its place.

    Raises:
        StoreError: the database is missing, damaged, or its keys are not numbered without a gap.
    """
    labels, first = [], 0
    for place, (key, value) in enumerate(iterate_values(path)):
        first = _number_of(key) if place == 0 else first
        if _number_of(key) != first + place:
            raise StoreError(_no_such_number(path, place, b"%08d_" % (first + place)))
        labels.append(_parse(value, f"{path}: {_text(key)}").label)
    return np.array(labels, dtype=np.int64)


def digest(*paths: Path) -> str:
    """Return the SHA-256 over all keys and values in order; databases with equal content have the same, cut or not."""
    total = hashlib.sha256()
    for path in paths:
        for key, value in iterate_values(path):
            _add_to_digest(total, key, value)
    return total.hexdigest()


def check_structure(path: Path) -> None:
    """Walk over every page of a database without LMDB itself, which a damaged file could bring down.

    Raises:
        StoreError: the database is missing, or its pages do not fit together; the message has the first problem.
    """
    if not (Path(path) / "data.mdb").is_file():
        raise StoreError(f"{path} is no LMDB (it has no data.mdb); make one with: fer-lmdb build")
    try:
        problems = verify(str(path))
    except (VerifyError, OSError) as error:
        problems = [str(error)]
    if problems:
        raise StoreError(f"{path} is damaged: {problems[0]}" + (f" and {len(problems) - 1} more" * (len(problems) > 1)))


def decode_datum(value: bytes, where: str) -> tuple[NDArray[np.uint8], int]:
    """Return the face and the label of a Datum's bytes.

    Args:
        value: a serialised Datum, raw or encoded, with one channel.
        where: database and key, for messages.
    Returns:
        (H, W) uint8 and the label.
    Raises:
        StoreError: it is no Datum, or not one grey picture.
    """
    datum = _parse(value, where)
    if datum.encoded:
        return _decode_picture(datum.data, where), datum.label
    sizes_fit = datum.channels == 1 and min(datum.height, datum.width) > 0
    sizes_fit = sizes_fit and datum.height * datum.width == len(datum.data)
    if not sizes_fit:
        raise StoreError(
            f"{where} says {datum.channels} x {datum.height} x {datum.width} and holds {len(datum.data)} bytes;"
            " expected one grey channel of bytes"
        )
    return np.frombuffer(datum.data, dtype=np.uint8).reshape(datum.height, datum.width), datum.label


@contextmanager
def _reading(path: Path) -> Iterator[tuple[int, Iterator[tuple[bytes, bytes]]]]:
    """Open a finished database for reading; give its number of records and the records in order."""
    with _opened(path) as environment, environment.begin() as transaction:
        yield environment.stat()["entries"], iter(transaction.cursor())


@contextmanager
def _opened(path: Path, readahead: bool = True) -> Iterator[lmdb.Environment]:
    """Open a finished database.

    No lock is taken: a finished database is never written again, and so several processes,
    or one without the right to write, may read it at the same moment.
    """
    if not (Path(path) / "data.mdb").is_file():
        raise StoreError(f"{path} is no LMDB (it has no data.mdb); make one with: fer-lmdb build")
    with _as_store_error(path):
        environment = lmdb.open(
            os.fsencode(path), readonly=True, lock=False, create=False, max_dbs=0, readahead=readahead
        )
        try:
            _check_length(Path(path), environment)
            yield environment
        finally:
            environment.close()


def _check_length(path: Path, environment: lmdb.Environment) -> None:
    """Refuse a file shorter than its own count of pages: reading past its end would kill the process."""
    expected = (environment.info()["last_pgno"] + 1) * environment.stat()["psize"]
    found = (path / "data.mdb").stat().st_size
    if found < expected:
        raise StoreError(f"{path}/data.mdb is cut off: {found} bytes of {expected}; build the data set again")


@contextmanager
def _as_store_error(path: Path) -> Iterator[None]:
    """Turn what LMDB and the operating system raise into one line that names the database."""
    try:
        yield
    except (lmdb.Error, OSError) as error:
        reason = "no space left on the disk" if _disk_is_full(path, error) else str(error).removeprefix(f"{path}: ")
        raise StoreError(f"{path}: {reason}") from error


def _disk_is_full(path: Path, error: Exception) -> bool:
    """Whether that is the reason; LMDB calls it an I/O error where the last page fitted in part."""
    if "Input/output error" in str(error):
        disk = os.statvfs(path)
        return disk.f_bavail * disk.f_frsize < 1 << 20
    return "No space left" in str(error) or "Disk quota" in str(error)


def _parse(value: bytes, where: str) -> Datum:
    try:
        return Datum.FromString(value)
    except DecodeError:
        raise StoreError(f"{where} is not a Datum; the database is damaged or not ours") from None


def _encode_png(image: NDArray[np.uint8]) -> bytes:
    import cv2

    return cv2.imencode(".png", image)[1].tobytes()


def _decode_picture(data: bytes, where: str) -> NDArray[np.uint8]:
    import cv2

    image = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_UNCHANGED) if data else None
    if image is None or image.ndim != 2 or image.dtype != np.uint8:
        raise StoreError(f"{where} holds an encoded picture that is damaged or not grey with 8 bits")
    return np.asarray(image, dtype=np.uint8)


def _add_to_digest(total: hashlib._Hash, key: bytes, value: bytes) -> None:
    """Lengths go in too, so that no other cut between keys and values has the same digest."""
    total.update(b"%d %d " % (len(key), len(value)))
    total.update(key)
    total.update(value)


def _number_of(key: bytes) -> int:
    """Return the number that a key begins with, -1 where it has none."""
    number, underscore, _ = key.partition(b"_")
    return int(number) if underscore and number.isdigit() else -1


def _no_such_number(path: Path, place: int, prefix: bytes) -> str:
    return (
        f"{path}: record {place} should have a key that begins {_text(prefix)}; a database whose keys are not numbered"
        " one by one has to be read as a whole: --loader memory"
    )


def _text(key: bytes) -> str:
    return key.decode("utf-8", errors="backslashreplace")


def _sizes_differ(path: Path, key: bytes, found: tuple[int, ...], expected: tuple[int, ...]) -> str:
    return (
        f"{path}: {_text(key)} is {found[0]} x {found[1]}, the records before it are {expected[0]} x {expected[1]};"
        " a data set holds faces of one size"
    )
