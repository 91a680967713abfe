"""The pictures that a data set's faces were cut out of: a data set does not keep them, its source does."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from fer_lmdb.data.manifest import file_sha256
from fer_lmdb.data.sources import Sample
from fer_lmdb.data.sources.fer2013 import Fer2013Csv
from fer_lmdb.data.sources.image_folder import find_files, read_bytes
from fer_lmdb.errors import ImageError, SourceError
from fer_lmdb.faces.detectors.base import Image
from fer_lmdb.io.images import decode_image

_NUMBER = re.compile(r"^\d{8}_")


def name_of(record: Mapping[str, Any]) -> str:
    """Return the picture's name in its source, from a line of detections.jsonl."""
    return _NUMBER.sub("", str(record["key"])) if record.get("key") else str(record["name"])


def find_source(folder: Path, manifest: Mapping[str, Any]) -> Path | None:
    """Return the source of a data set where it lies beside it and is the one that it was built from.

    Args:
        folder: the data set.
        manifest: its manifest.
    """
    name = manifest.get("source", {}).get("name")
    if not name:
        return None
    places = [folder.resolve().parent / name, Path("data") / name, Path(name)]
    return next((place for place in places if place.exists() and is_source(place, manifest)), None)


def is_source(path: Path, manifest: Mapping[str, Any]) -> bool:
    """Tell whether a csv is the one that a data set was built from; of a folder only the name is compared."""
    source = manifest.get("source", {})
    if path.is_dir():
        return path.resolve().name == source.get("name")
    return path.is_file() and file_sha256(path) == source.get("sha256")


def check_source(path: Path, manifest: Mapping[str, Any]) -> Path:
    """Return a path that the user named as the source of a data set; a folder may have got another name since.

    Raises:
        SourceError: there is nothing, or another csv.
    """
    if not path.exists():
        raise SourceError(f"there is no {path}; --source is the csv or folder that the data set was built from")
    if not path.is_dir() and not is_source(path, manifest):
        digest = str(manifest.get("source", {}).get("sha256"))[:12]
        raise SourceError(f"{path} is not what this data set was built from: its SHA-256 does not begin {digest}")
    return path


def read_originals(path: Path, names: Collection[str]) -> dict[str, Image]:
    """Read pictures out of a data set's source.

    Args:
        path: the csv or folder that the data set was built from.
        names: which pictures, as `name_of` gives them.

    Returns:
        uint8 grey (H, W) or RGB (H, W, 3) by name; a picture of a folder that is gone or damaged is left out.

    Raises:
        SourceError: a folder holds none of them.
    """
    if not path.is_dir():
        wanted = set(names)
        return {item.name: item.image for item in Fer2013Csv(path) if isinstance(item, Sample) and item.name in wanted}
    found = dict(_read_folder(path, names))
    if names and not found:
        raise SourceError(f"{path} holds none of the data set's pictures, for example {next(iter(names))}")
    return found


def _read_folder(root: Path, names: Iterable[str]) -> Iterable[tuple[str, Image]]:
    """Yield those of the pictures that are there; a split that was cut off by `build` has no folder of its own."""
    paths = {(file.split, file.folder, file.inside): file.path for file in find_files(root)}
    for name in names:
        split, folder, inside = name.lstrip("/").split("/", 2)
        places = ((other, folder, inside) for other in (split, "", "train"))
        path = next((paths[place] for place in places if place in paths), None)
        try:
            if path is not None:
                yield name, decode_image(read_bytes(path), path)
        except (ImageError, OSError):
            continue  # the sheet then shows what the aligned face tells of it
