"""Folders that this program writes as a whole: how to recognize them, and which files in them are its own."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fer_lmdb.renames import FILES

CLASS_NAMES = "classes.txt"
IMAGE_FOLDERS = ("original", "boxed", "aligned")
"""Folders of images that `build --images` writes."""
IsOwn = Callable[[str], object]
"""Whether a file, relative to its folder with slashes, was written by this program."""

_UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError)


@dataclass(frozen=True)
class FolderKind:
    """Kind of folder.

    Attributes:
        name: Name for messages, e.g. "data set".
        marker: File that each such folder contains.
        read: Reads the marker of a folder and returns what is its own; raises ValueError if the marker is another
            program's file of that name.
        nested: Kinds of folders that may be inside, by their name.
    """

    name: str
    marker: str
    read: Callable[[Path], IsOwn]
    nested: tuple[tuple[str, FolderKind], ...] = ()

    def is_at(self, folder: Path) -> bool:
        """Return whether a folder has the marker."""
        return (folder / self.marker).is_file()

    def find_foreign(self, folder: Path) -> str | None:
        """Return a file that this program did not write, relative to the folder; None if there is none.

        The marker itself is returned if it is another program's.
        """
        try:
            is_own = self.read(folder)
        except _UNREADABLE:
            return self.marker
        return next((name for name in self._files(folder) if not is_own(name)), None)

    def owner(self, path: Path) -> Path | None:
        """Return the folder of this kind that an existing or missing file belongs to, by place and name."""
        for folder in list(path.parents)[:4]:
            if self.is_at(folder):
                try:
                    return folder if self.read(folder)(path.relative_to(folder).as_posix()) else None
                except _UNREADABLE:
                    return None
        return None

    def _files(self, folder: Path) -> Iterator[str]:
        nested = dict(self.nested)
        for root, folders, files in os.walk(folder):
            links = [name for name in folders if Path(root, name).is_symlink()]
            for name in [*files, *links]:
                yield Path(root, name).relative_to(folder).as_posix()
            for name in folders.copy():
                inner = Path(root, name)
                if Path(root) == folder and name in nested and nested[name].is_at(inner):
                    folders.remove(name)
                    foreign = nested[name].find_foreign(inner)
                    if foreign is not None:
                        yield f"{name}/{foreign}"


def _load(path: Path) -> dict[str, Any]:
    document = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(document, dict):
        raise ValueError(f"{path}: found no object")
    return document


def _read_report(folder: Path) -> IsOwn:
    document = _load(folder / "report.json")
    if document["kind"] not in ("run", "data set"):
        raise ValueError("another program's report")
    return {"report.json", "index.html", *document["files"]}.__contains__


_DATA_SET_FILE = re.compile(
    r"manifest\.json|mean\.binaryproto|(detections|unreadable)\.jsonl|faces\.png|contact[-_]sheet\.(png|jpg)"
    r"|(train|val|test)(_votes)?_lmdb(-\d{5}-of-\d{5})?/(data|lock)\.mdb"
)
_RUN_FILE = re.compile(
    r"(run|training)\.(json|lock)|(solver|train_val|deploy)\.prototxt|(log|evaluations)\.jsonl"
    r"|(snapshot|best|last|first_batch|teacher_probabilities)\.safetensors|checkpoints/\d+\.safetensors"
    r"|tensorboard/.*events\.out\.tfevents\..*|batch-accuracies\.png|\..*\.partial"
    rf"|({'|'.join(map(re.escape, FILES))})(/\d+\.safetensors)?"
)


def _read_data_set(folder: Path) -> IsOwn:
    if not str(_load(folder / "manifest.json")["format"]).startswith("fer-lmdb data set "):
        raise ValueError("another program's manifest")
    return _DATA_SET_FILE.fullmatch


def _read_run(folder: Path) -> IsOwn:
    if "options" not in _load(folder / "run.json"):
        raise ValueError("another program's run")
    return _RUN_FILE.fullmatch


def _read_images(folder: Path) -> IsOwn:
    """Return the names in the lists, which hold one line `/train/3/01081.png 3` per image, and the class names."""
    own = {CLASS_NAMES, *(f"{kind}/{CLASS_NAMES}" for kind in IMAGE_FOLDERS)}
    for split in ("train", "val", "test"):
        path = folder / f"{split}_list.txt"
        if path.is_file():
            names = [line.rpartition(b" ")[0] for line in path.read_bytes().splitlines()]
            own.add(path.name)
            own.update(f"{kind}{os.fsdecode(name)}" for name in names for kind in IMAGE_FOLDERS)
    return own.__contains__


REPORT = FolderKind("report", "report.json", _read_report)
DATA_SET = FolderKind("data set", "manifest.json", _read_data_set, (("report", REPORT),))
RUN = FolderKind("run", "run.json", _read_run, (("report", REPORT),))
IMAGES = FolderKind("folder of images", "train_list.txt", _read_images)
