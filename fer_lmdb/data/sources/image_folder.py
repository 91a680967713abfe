"""Image folders: one folder per class, optionally inside one folder per split.

photos/train/happy/1.jpg   photos/val/...   photos/test/...
photos/happy/1.jpg         no splits, see `random_splits`
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fer_lmdb.choices import SPLITS
from fer_lmdb.data.sources import InvalidSample, Sample
from fer_lmdb.errors import ImageError, SourceError
from fer_lmdb.io.hidden import is_hidden
from fer_lmdb.io.images import decode_image, printable_path
from fer_lmdb.labels import (
    FER2013,
    LabelOrder,
    LabelScheme,
    check_class_words,
    class_name,
    find_label_file,
    parse_label,
)

SPLIT_OF_FOLDER = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "publictest"), "val"),
    **dict.fromkeys(("test", "testing", "privatetest"), "test"),
}
MAX_FILE_BYTES = 512 << 20


@dataclass(frozen=True)
class ImageFile:
    """One file of a data set folder.

    Attributes:
        path: Path of the file.
        split: "train", "val" or "test"; empty in a folder without splits.
        folder: Name of the class folder.
        inside: Path relative to the class folder.
    """

    path: str
    split: str
    folder: str
    inside: str


class ImageFolder:
    """Source of the images in class folders, sorted by path.

    Args:
        root: The folder.
        scheme: Classes that the folders are named after.
        label_order: Meaning of folders that are numbers; None: as in the folder's own classes.txt or labels.txt.

    Attributes:
        label_order: Meaning of folders that are numbers; None if there are none.
        unsplit: "" if the folder has no splits, "train" if it only lacks a validation split, else None.

    Raises:
        SourceError: If the folder is missing, cannot be read or has no class folder, or the class of a folder would
            have to be guessed.
    """

    def __init__(
        self,
        root: Path,
        scheme: LabelScheme = FER2013,
        label_order: LabelOrder | None = None,
    ) -> None:
        self.root = Path(root)
        self.name = self.root.resolve().name
        self.scheme = scheme
        self.classes = scheme.classes
        self._digest = hashlib.sha256()
        try:
            self.files = find_files(self.root)
        except OSError as error:
            raise SourceError(f"{printable_path(error.filename or root)}: {error.strerror}") from None
        splits = {file.split for file in self.files}
        self.unsplit = None if "val" in splits else next(iter(splits & {"", "train"}), None)
        folders = {file.folder for file in self.files}
        self.label_order = label_order or find_label_file(self.root)
        check_class_words(folders, self.label_order, printable_path(root))
        self._labels = {folder: parse_label(folder, scheme, self.label_order) for folder in folders}
        if all(label is None for label in self._labels.values()):
            raise SourceError(
                f"{printable_path(root)} has no images in folders named after classes;"
                f" expected {', '.join(scheme.classes)}, or train, val and test containing these"
            )

    def size_hint(self) -> int:
        """Return the number of files."""
        return len(self.files)

    def sha256(self) -> str:
        """Return the digest of all paths and files; valid after the iteration."""
        return self._digest.hexdigest()

    def __iter__(self) -> Iterator[Sample | InvalidSample]:
        self._digest = hashlib.sha256()
        for row, file in enumerate(self.files):
            yield self._read(file, row)

    def _read(self, file: ImageFile, row: int) -> Sample | InvalidSample:
        location = printable_path(file.path)
        label = self._labels[file.folder]
        if label is None:
            return InvalidSample(location, self._explain(file.folder), file.split or None)
        if "\n" in file.inside or "\r" in file.inside:
            return InvalidSample(location, "the file name contains a line break; rename it", file.split or None)
        try:
            data = read_bytes(file.path)
            image = decode_image(data, location)
        except (ImageError, OSError) as error:
            return InvalidSample(location, str(error).removeprefix(f"{location}: "), file.split or None)
        self._digest.update(os.fsencode(f"{file.split}/{file.folder}/{file.inside}\0{len(data)}\0"))
        self._digest.update(data)
        return Sample(f"/{file.split}/{file.folder}/{file.inside}", file.split, label, image, location, row)

    def _explain(self, folder: str) -> str:
        """Return why the images of a folder have no label."""
        name = class_name(folder, self.label_order)
        found = f'the folder "{printable_path(folder)}"' + (f" ({name})" if name and name != folder else "")
        return f"{found} is not a class of {self.scheme.name}; expected one of: {', '.join(self.classes)}"


def find_files(root: Path) -> list[ImageFile]:
    """List all files in the class folders, sorted; ``split`` is empty if there are no folders of splits.

    Raises:
        OSError: If a folder cannot be read.
    """
    folders = subfolders(root)
    splits = {folder: SPLIT_OF_FOLDER[folder.lower()] for folder in folders if folder.lower() in SPLIT_OF_FOLDER}
    if not splits:
        return [file for folder in folders for file in walk(root / folder, "", folder)]
    return [
        file
        for name in sorted(splits, key=lambda name: (SPLITS.index(splits[name]), name))
        for folder in subfolders(root / name)
        for file in walk(root / name / folder, splits[name], folder)
    ]


def subfolders(root: Path) -> list[str]:
    """Return the sorted names of the subfolders that are not hidden."""
    with os.scandir(root) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir() and not is_hidden(entry.name))


def walk(class_folder: Path, split: str, folder: str) -> Iterator[ImageFile]:
    """Yield the files in a class folder, sorted, without hidden files and folders."""
    for root, folders, names in os.walk(class_folder, onerror=_raise):
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        for name in sorted(names):
            if not is_hidden(name):
                path = os.path.join(root, name)  # noqa: PTH118 - Path objects for 100,000 files take seconds
                yield ImageFile(path, split, folder, os.path.relpath(path, class_folder))


def read_bytes(path: str) -> bytes:
    """Read a file.

    Raises:
        OSError: If it cannot be read.
        ImageError: If it is not a regular file, or larger than `MAX_FILE_BYTES`.
    """
    file = Path(path)
    size = file.stat().st_size
    if not file.is_file():
        raise ImageError("is not a regular file; expected an image")
    if size > MAX_FILE_BYTES:
        raise ImageError(f"has {size:,} bytes; expected an image of at most {MAX_FILE_BYTES:,}")
    return file.read_bytes()


def _raise(error: OSError) -> None:
    raise error
