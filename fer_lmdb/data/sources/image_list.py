"""Image lists: one ``path label`` per line, as Caffe's convert_imageset reads them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from fer_lmdb.data.sources import InvalidSample, Sample
from fer_lmdb.data.sources.image_folder import read_bytes
from fer_lmdb.errors import ImageError, SourceError
from fer_lmdb.io.file_names import printable_path
from fer_lmdb.io.images import decode_image
from fer_lmdb.labels import FER2013, LabelOrder, LabelScheme, check_class_words, find_label_file, parse_label
from prototxt_like.errors import FileError
from prototxt_like.io.image_list import LabeledPath, listed_path, read_labeled_paths

PROBED_PATHS = 100
"""Entries that are searched for a first existing file, to find the folder of the paths."""


class ImageList:
    """Source of the images in a list, in the order of the lines. It has no splits.

    Args:
        path: The list. A label is a class name, or a number in a known label order.
        scheme: Classes of the labels.
        label_order: Meaning of labels that are numbers; None: as in classes.txt or labels.txt beside the list.
        root: Folder to which the paths are appended; None: the folder of the list or the working directory, whichever
            has the first images.

    Raises:
        SourceError: If the list cannot be read, none of its first images exists or a class would have to be guessed.
    """

    unsplit = ""

    def __init__(
        self,
        path: Path,
        scheme: LabelScheme = FER2013,
        label_order: LabelOrder | None = None,
        root: Path | None = None,
    ) -> None:
        self.path = Path(path)
        self.name = self.path.name
        self.scheme = scheme
        self.classes = scheme.classes
        self._digest = hashlib.sha256()
        try:
            self.entries = read_labeled_paths(self.path)
        except FileError as error:
            raise SourceError(str(error)) from None
        words = {entry.label for entry in self.entries}
        self.label_order = label_order or find_label_file(self.path.parent)
        check_class_words(words, self.label_order, printable_path(path))
        self._labels = {word: parse_label(word, scheme, self.label_order) for word in words}
        self.root = _find_root(self.path, self.entries) if root is None else os.fspath(root)

    def size_hint(self) -> int:
        """Return the number of lines."""
        return len(self.entries)

    def sha256(self) -> str:
        """Return the digest of all paths, labels and files; valid after the iteration."""
        return self._digest.hexdigest()

    def __iter__(self) -> Iterator[Sample | InvalidSample]:
        self._digest = hashlib.sha256()
        for row, entry in enumerate(self.entries):
            yield self._read(entry, row)

    def _read(self, entry: LabeledPath, row: int) -> Sample | InvalidSample:
        path = listed_path(self.root, entry.path)
        location = f"{printable_path(self.path)}:{entry.line}: {printable_path(path)}"
        label = self._labels[entry.label]
        if label is None:
            reason = f'the label "{printable_path(entry.label)}" is not a class of {self.scheme.name}'
            return InvalidSample(location, f"{reason}; expected one of: {', '.join(self.classes)}")
        try:
            data = read_bytes(path)
            image = decode_image(data, location)
        except (ImageError, OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error).removeprefix(f"{location}: ")
            return InvalidSample(location, reason)
        self._digest.update(os.fsencode(f"{entry.path} {entry.label}\0{len(data)}\0"))
        self._digest.update(data)
        return Sample(f"//{entry.label}/{_inside(entry.path)}", "", label, image, location, row)


def _find_root(path: Path, entries: list[LabeledPath]) -> str:
    """Return the folder of the paths: that of the list, or none, for paths relative to the working directory."""
    roots = [os.fspath(path.resolve().parent), ""]
    for entry in islice(entries, PROBED_PATHS):
        candidates = [""] if os.path.isabs(entry.path) else roots  # noqa: PTH117 - a string with any bytes
        found = next((root for root in candidates if os.path.isfile(listed_path(root, entry.path))), None)  # noqa: PTH113
        if found is not None:
            return found
    first = printable_path(entries[0].path)
    raise SourceError(
        f"{printable_path(path)}: the images are missing: found no {first} in {printable_path(roots[0])} or the current"
        " folder; set the folder of the paths with --root"
    )


def _inside(path: str) -> str:
    """Return a path for the names of samples, without roots and parent folders, so that it stays inside a data set."""
    return "/".join(part for part in path.split("/") if part not in ("", ".", ".."))
