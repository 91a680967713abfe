"""FER2013's csv: one face a row, as 2,304 numbers between 0 and 255.

Two layouts go round, and both are read, whatever the order of their columns:
``emotion,pixels,Usage`` (the contest's file) and ``emotion, Usage, pixels`` (the later one).
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fer_lmdb.data.sources import InvalidSample, Sample
from fer_lmdb.errors import SourceError
from fer_lmdb.labels import FER2013

SIDE = 48
SPLIT_OF_USAGE = {"Training": "train", "PublicTest": "val", "PrivateTest": "test"}
COLUMNS = {"emotion", "pixels", "usage"}
MAX_LINE_LENGTH = 1 << 20
_VALUES = {str(value): value for value in range(256)}
_LABELS = {str(label): label for label in range(len(FER2013))}


class Fer2013Csv:
    """A csv in FER2013's layout; iterate over it to get its faces in the order of the rows.

    Args:
        path: the csv file.
    Raises:
        SourceError: the file is missing, unreadable or has another header. While iterating: it changed
            while it was read.
    """

    classes = FER2013.classes

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.name = self.path.name
        self._digest = hashlib.sha256()
        self._bytes_read = 0
        self._rows_read = 0
        try:
            self._bytes = self.path.stat().st_size
            with self.path.open("rb") as file:
                self._columns = read_header(file.readline(MAX_LINE_LENGTH), self.path)
        except OSError as error:
            raise SourceError(f"cannot read {self.path}: {error.strerror}") from None

    def size_hint(self) -> int | None:
        """Estimate the number of rows from the bytes read so far; None before the first row."""
        if not self._rows_read:
            return None
        return round(self._rows_read * self._bytes / self._bytes_read)

    def sha256(self) -> str:
        """Digest of the whole file; valid after the iteration has ended."""
        return self._digest.hexdigest()

    def __iter__(self) -> Iterator[Sample | InvalidSample]:
        self._digest = hashlib.sha256()
        self._rows_read = 0
        with self.path.open("rb") as file:
            before = _state(file.fileno())
            header = file.readline(MAX_LINE_LENGTH)
            self._digest.update(header)
            self._bytes_read = len(header)
            for number, line in enumerate(self._lines(file), start=2):
                where = f"{self.path}:{number}"
                if line is None:
                    yield InvalidSample(
                        where, f"a line of more than {MAX_LINE_LENGTH:,} bytes; a face takes about 9,000"
                    )
                elif line.strip():
                    yield parse_row(line, self._rows_read, where, self._columns)
                else:
                    continue
                self._rows_read += 1
            if _state(file.fileno()) != before:
                raise SourceError(f"{self.path} changed while it was read; let it settle and build again")

    def _lines(self, file: io.BufferedReader) -> Iterator[bytes | None]:
        """Yield every line; None for one that is too long to be a face, of which only pieces are ever held."""
        while piece := file.readline(MAX_LINE_LENGTH):
            line: bytes | None = piece
            self._count(piece)
            while len(piece) == MAX_LINE_LENGTH and not piece.endswith(b"\n"):
                line = None
                piece = file.readline(MAX_LINE_LENGTH)
                self._count(piece)
            yield line

    def _count(self, piece: bytes) -> None:
        self._digest.update(piece)
        self._bytes_read += len(piece)


def read_header(line: bytes, path: Path) -> tuple[int, int, int]:
    """Find the columns emotion, pixels and usage.

    Returns:
        their positions.
    Raises:
        SourceError: one of them is missing.
    """
    names = [name.strip().lower() for name in _fields(line.removeprefix(b"\xef\xbb\xbf")) or ()]
    if not set(names) >= COLUMNS:
        found = line[:60].decode("utf-8", errors="backslashreplace").strip()
        raise SourceError(
            f'{path}:1: the header is "{found}"; expected emotion, pixels, Usage (FER2013\'s columns, in any order)'
        )
    return names.index("emotion"), names.index("pixels"), names.index("usage")


def parse_row(line: bytes, row: int, where: str, columns: tuple[int, int, int]) -> Sample | InvalidSample:
    """Read one row.

    Args:
        line: the row's bytes.
        row: its number, counted from 0 below the header.
        where: file and line, for messages.
        columns: positions of emotion, pixels and usage.
    """
    fields = _fields(line)
    if fields is None or len(fields) <= max(columns):
        return InvalidSample(where, f"a row of {len(fields or [])} fields; expected emotion, pixels and Usage")
    emotion, pixels, usage = (fields[column].strip() for column in columns)
    split = SPLIT_OF_USAGE.get(usage)
    if split is None:
        return InvalidSample(where, f'usage "{_short(usage)}"; expected Training, PublicTest or PrivateTest')
    label = _LABELS.get(emotion)
    if label is None:
        return InvalidSample(where, f'emotion "{_short(emotion)}"; expected 0 to {len(FER2013) - 1}', split)
    face = parse_pixels(pixels)
    if isinstance(face, str):
        return InvalidSample(where, face, split)
    return Sample(f"/{split}/{label}/{row:05d}.png", split, label, face, where, row)


def parse_pixels(text: str) -> NDArray[np.uint8] | str:
    """Read the numbers of one face.

    Returns:
        (48, 48) uint8, or the reason why the text is none.
    """
    face = _parse_regular(text)
    if face is not None:
        return face
    words = text.split()
    if len(words) != SIDE * SIDE:
        return f"{len(words)} pixels; expected {SIDE * SIDE} (48 x 48)"
    try:
        values = bytes(map(_VALUES.__getitem__, words))
    except KeyError as error:
        return f'a pixel is "{_short(error.args[0])}"; expected a whole number from 0 to 255'
    return np.frombuffer(values, dtype=np.uint8).reshape(SIDE, SIDE)


def _parse_regular(text: str) -> NDArray[np.uint8] | None:
    """Read numbers of one to three digits with one space between them, all at once; None for any other text.

    Looking at all characters together takes a third of the time that splitting the text into words does.
    """
    codes = np.frombuffer(text.encode(), dtype=np.uint8)
    digits = codes - np.uint8(ord("0"))  # whatever is no digit wraps around to 10 or more
    ends = np.append(np.flatnonzero(codes == ord(" ")), len(codes))
    widths = np.diff(ends, prepend=-1) - 1
    regular = len(ends) == SIDE * SIDE and widths.min() >= 1 and widths.max() <= 3
    if not regular or np.count_nonzero(digits > 9) != len(ends) - 1:
        return None
    values = digits[ends - 1].astype(np.uint16)
    values += np.where(widths > 1, digits[ends - 2] * np.uint16(10), np.uint16(0))
    values += np.where(widths > 2, digits[ends - 3] * np.uint16(100), np.uint16(0))
    return values.astype(np.uint8).reshape(SIDE, SIDE) if values.max() <= 255 else None


def _fields(line: bytes) -> list[str] | None:
    """Split a line at its commas, heeding quotes; None where the quotes do not pair up or a NUL stands in it."""
    text = line.decode("utf-8", errors="backslashreplace").rstrip("\r\n")
    if '"' not in text:
        return text.split(",")
    try:
        return next(csv.reader([text], strict=True))
    except csv.Error:
        return None


def _state(descriptor: int) -> tuple[int, int]:
    status = os.fstat(descriptor)
    return status.st_size, status.st_mtime_ns


def _short(text: str) -> str:
    """What stands in a field, printable and on one line."""
    shown = text[:20].encode("unicode_escape").decode("ascii")
    return shown if len(text) <= 20 else shown + "..."
