"""Folders of databases that Caffe's tools wrote, without a manifest; nothing in them is changed.

A database is found by its content (data.mdb), its split by a part of its name: `ilsvrc12_train_lmdb`, `img_val_lmdb`.
Alternatively the databases and the mean are named one by one: ``train=a_lmdb,val=b_lmdb,mean=mean.binaryproto``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from fer_lmdb.choices import SPLITS
from fer_lmdb.data.manifest import FILE_NAME
from fer_lmdb.errors import DataSetError
from prototxt_like.io.datum_store import is_database

_SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
_NAMED = re.compile(r"(train|val|test|mean)=")
_EXAMPLE = "--data train=A,val=B,mean=M.binaryproto"


@dataclass(frozen=True)
class CaffeFolder:
    """Databases and mean image of a data set without a manifest.

    Attributes:
        location: Folder, or the text that names the files.
        databases: Database of each split.
        mean: Mean image, if there is one.
        unused: Databases whose name contains no split.
    """

    location: str
    databases: dict[str, Path]
    mean: Path | None = None
    unused: tuple[Path, ...] = ()


def names_files(location: str) -> bool:
    """Return whether a location names databases one by one instead of a folder."""
    return bool(_NAMED.match(location)) and not Path(location).exists()


def find_databases(folder: Path) -> list[Path]:
    """Return the databases inside a folder, by content, sorted by name."""
    try:
        return sorted(path for path in folder.iterdir() if is_database(path))
    except OSError:
        return []


def is_caffe_location(location: str | Path) -> bool:
    """Return whether a location is a folder of databases without a manifest, or names databases."""
    if names_files(str(location)):
        return True
    return not (Path(location) / FILE_NAME).is_file() and bool(find_databases(Path(location)))


def open_caffe_folder(location: str) -> CaffeFolder:
    """Find the databases and the mean image of a data set.

    Args:
        location: Folder, or ``train=A,val=B,mean=M.binaryproto``.

    Raises:
        DataSetError: If a named file does not exist, or the split of a database or the mean image is ambiguous.
    """
    if names_files(location):
        return _open_named(location)
    databases: dict[str, Path] = {}
    unused = []
    for path in find_databases(Path(location)):
        split = _split_of(path)
        if split is None:
            unused.append(path)
        elif split in databases:
            raise DataSetError(
                f"{location} has two databases of the {split} split, {databases[split].name} and {path.name}; "
                f"name the databases: {_EXAMPLE}"
            )
        else:
            databases[split] = path
    if not databases:
        found = ", ".join(path.name for path in unused)
        raise DataSetError(
            f"{location}: the splits of its databases are unknown: found {found}, expected train, val or test in their "
            f"names; name the databases: {_EXAMPLE}"
        )
    return CaffeFolder(location, databases, _find_mean(Path(location)), tuple(unused))


def _open_named(location: str) -> CaffeFolder:
    files: dict[str, Path] = {}
    for entry in location.split(","):
        name, equals, file = entry.partition("=")
        if not equals or name not in (*SPLITS, "mean") or name in files:
            raise DataSetError(f'invalid data set: found "{entry}", expected one each of train=, val=, test=, mean=')
        files[name] = Path(file)
    mean = files.pop("mean", None)
    for split, path in files.items():
        if not is_database(path):
            raise DataSetError(f"{split}={path} is not a database: no data.mdb found; pass its folder")
    if mean is not None and not mean.is_file():
        raise DataSetError(f"mean={mean} does not exist; pass a .binaryproto")
    if not files:
        raise DataSetError(f"{location} names no database; pass e.g. {_EXAMPLE}")
    return CaffeFolder(location, files, mean)


def _split_of(path: Path) -> str | None:
    """Return the split that a name contains; None if it contains none.

    Raises:
        DataSetError: If it contains more than one.
    """
    splits = _splits_in(path.name)
    if len(splits) > 1:
        raise DataSetError(
            f"{path}: the split is ambiguous: found {' and '.join(sorted(splits))} in its name; "
            f"name the databases: {_EXAMPLE}"
        )
    return next(iter(splits), None)


def _splits_in(name: str) -> set[str]:
    """Return the splits among the words of a name; words end at any character that is not a letter."""
    return {_SPLIT_WORDS[word] for word in re.findall(r"[a-z]+", name.lower()) if word in _SPLIT_WORDS}


def _find_mean(folder: Path) -> Path | None:
    """Return the only .binaryproto of a folder, or the only one whose name contains "train"."""
    found = sorted(folder.glob("*.binaryproto"))
    if len(found) > 1:
        found = _of_training(found) or found
    if len(found) > 1:
        raise DataSetError(
            f"{folder} has {len(found)} mean images, {found[0].name} and {found[1].name}; name one: {_EXAMPLE}"
        )
    return found[0] if found else None


def _of_training(paths: Iterable[Path]) -> list[Path]:
    return [path for path in paths if "train" in _splits_in(path.stem)]
