"""Folders of pictures: one folder per class, below one folder per split or at once.

photos/train/happy/1.jpg   photos/val/...   photos/test/...
photos/happy/1.jpg         split by a seeded fraction of every class
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fer_lmdb.data.sources import InvalidSample, Sample
from fer_lmdb.data.splits import SPLITS
from fer_lmdb.errors import ImageError, SourceError
from fer_lmdb.io.images import decode_image, printable_path
from fer_lmdb.labels import FER2013, LabelScheme, parse_label

SPLIT_OF_FOLDER = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "publictest"), "val"),
    **dict.fromkeys(("test", "testing", "privatetest"), "test"),
}
LITTER = {"thumbs.db", "desktop.ini"}
MAX_FILE_BYTES = 512 << 20


@dataclass(frozen=True)
class ImageFile:
    """One file of a data set folder.

    Attributes:
        path: where it lies.
        split: "train", "val" or "test".
        folder: the name of its class folder.
        inside: its path below the class folder.
    """

    path: str
    split: str
    folder: str
    inside: str


class ImageFolder:
    """A folder of class folders; iterate over it to get its pictures, sorted by path.

    Where there is no validation split, a seeded part of the training split becomes one; where there is no split
    at all, a test split is cut off as well.

    Args:
        root: the folder.
        scheme: the classes that the folders are named after.
        holdout: the part of every class that goes to each split that is cut off.
        seed: decides which pictures these are.
    Raises:
        SourceError: the folder is missing, cannot be read or holds no class folder.
    """

    def __init__(self, root: Path, scheme: LabelScheme = FER2013, holdout: float = 0.1, seed: int = 0) -> None:
        self.root = Path(root)
        self.name = self.root.resolve().name
        self.scheme = scheme
        self.classes = scheme.classes
        self._digest = hashlib.sha256()
        if not 0 < holdout < 0.5:
            raise SourceError(f"the fraction is {holdout}; expected a number above 0 and below 0.5")
        try:
            self.files = assign_splits(find_files(self.root), holdout, seed)
        except OSError as error:
            raise SourceError(f"{printable_path(error.filename or root)}: {error.strerror}") from None
        if not any(parse_label(file.folder, scheme) is not None for file in self.files):
            raise SourceError(
                f"{printable_path(root)} holds no folder named after a class with pictures in it;"
                f" expected {', '.join(scheme.classes)}, or train, val and test with these below"
            )

    def size_hint(self) -> int:
        """Return the number of files."""
        return len(self.files)

    def sha256(self) -> str:
        """Digest of all paths and files; valid after the iteration has ended."""
        return self._digest.hexdigest()

    def __iter__(self) -> Iterator[Sample | InvalidSample]:
        self._digest = hashlib.sha256()
        for row, file in enumerate(self.files):
            yield self._read(file, row)

    def _read(self, file: ImageFile, row: int) -> Sample | InvalidSample:
        where = printable_path(file.path)
        label = parse_label(file.folder, self.scheme)
        if label is None:
            reason = (
                f'the folder "{printable_path(file.folder)}" is no class; expected one of {", ".join(self.classes)}'
            )
            return InvalidSample(where, reason, file.split)
        if "\n" in file.inside or "\r" in file.inside:
            return InvalidSample(where, "a line break stands in the file's name; rename it", file.split)
        try:
            data = read_bytes(file.path)
            image = decode_image(data, where)
        except (ImageError, OSError) as error:
            return InvalidSample(where, str(error).removeprefix(f"{where}: "), file.split)
        self._digest.update(os.fsencode(f"{file.split}/{file.folder}/{file.inside}\0{len(data)}\0"))
        self._digest.update(data)
        return Sample(f"/{file.split}/{file.folder}/{file.inside}", file.split, label, image, where, row)


def find_files(root: Path) -> list[ImageFile]:
    """List every file below the class folders, sorted; ``split`` is empty where there is no folder of that name.

    Raises:
        OSError: a folder cannot be read.
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
    """Return the names of the folders in a folder, sorted, without hidden ones."""
    with os.scandir(root) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))


def walk(class_folder: Path, split: str, folder: str) -> Iterator[ImageFile]:
    """Yield every file below a class folder, sorted, without hidden files and what file managers leave."""
    for root, folders, names in os.walk(class_folder, onerror=_raise):
        folders.sort()
        for name in sorted(names):
            if not name.startswith(".") and name.lower() not in LITTER:
                path = os.path.join(root, name)  # noqa: PTH118 - a Path each costs seconds with 100,000 files
                yield ImageFile(path, split, folder, os.path.relpath(path, class_folder))


def assign_splits(files: Iterable[ImageFile], holdout: float, seed: int) -> list[ImageFile]:
    """Give every file its split; cut those that are missing off the others, the same part of every class."""
    files = list(files)
    present = {file.split for file in files}
    if present == {""}:
        return split_by_class(files, {"test": holdout, "val": holdout}, seed)
    if "val" not in present:
        train = [file for file in files if file.split == "train"]
        return split_by_class(train, {"val": holdout}, seed) + [file for file in files if file.split != "train"]
    return files


def split_by_class(files: list[ImageFile], fractions: dict[str, float], seed: int) -> list[ImageFile]:
    """Give a seeded part of every class to each of the splits and the rest to training; the order stays."""
    split_of = dict.fromkeys((file.path for file in files), "train")
    for number, folder in enumerate(sorted({file.folder for file in files})):
        paths = [file.path for file in files if file.folder == folder]
        order = np.random.default_rng([seed, number]).permutation(len(paths)).tolist()
        for split, part in fractions.items():
            taken, order = order[: round(part * len(paths))], order[round(part * len(paths)) :]
            split_of.update((paths[place], split) for place in taken)
    return [ImageFile(file.path, split_of[file.path], file.folder, file.inside) for file in files]


def read_bytes(path: str) -> bytes:
    """Read a whole file.

    Raises:
        OSError: it cannot be read.
        ImageError: it is no ordinary file, or larger than any picture.
    """
    file = Path(path)
    size = file.stat().st_size
    if not file.is_file():
        raise ImageError("is no ordinary file; expected a picture")
    if size > MAX_FILE_BYTES:
        raise ImageError(f"is {size:,} bytes large; expected a picture of at most {MAX_FILE_BYTES:,}")
    return file.read_bytes()


def _raise(error: OSError) -> None:
    raise error
