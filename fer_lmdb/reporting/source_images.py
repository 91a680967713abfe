"""Source images of a data set. A data set contains only the faces; the images are read from its source."""

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
    """Return the name of an image in its source, from a record of detections.jsonl."""
    return _NUMBER.sub("", str(record["key"])) if record.get("key") else str(record["name"])


def find_source(folder: Path, manifest: Mapping[str, Any]) -> Path | None:
    """Search for the source of a data set: beside the data set, in data/ and in the current folder.

    Args:
        folder: Data set.
        manifest: Its manifest.

    Returns:
        Path of the source; None if none of these is the source of the data set.
    """
    name = manifest.get("source", {}).get("name")
    if not name:
        return None
    candidates = [folder.resolve().parent / name, Path("data") / name, Path(name)]
    return next((path for path in candidates if path.exists() and is_source(path, manifest)), None)


def is_source(path: Path, manifest: Mapping[str, Any]) -> bool:
    """Return whether a data set was built from a csv (compared by SHA-256) or folder (compared by name)."""
    source = manifest.get("source", {})
    if path.is_dir():
        return path.resolve().name == source.get("name")
    return path.is_file() and file_sha256(path) == source.get("sha256")


def check_source(path: Path, manifest: Mapping[str, Any]) -> Path:
    """Return an explicit source path after checking it; folders may have been renamed and always pass.

    Raises:
        SourceError: If the path does not exist or is another csv.
    """
    if not path.exists():
        raise SourceError(f"{path} not found; set --source to the csv or image folder that the data set was built from")
    if not path.is_dir() and not is_source(path, manifest):
        digest = str(manifest.get("source", {}).get("sha256"))[:12]
        raise SourceError(f"{path} is not the source of this data set: its SHA-256 does not start with {digest}")
    return path


def read_source_images(path: Path, names: Collection[str]) -> dict[str, Image]:
    """Read images from the source of a data set.

    Args:
        path: Csv or image folder that the data set was built from.
        names: Names of the images, see `name_of`.

    Returns:
        uint8 gray (H, W) or RGB (H, W, 3) by name, without images of a folder that are missing or damaged.

    Raises:
        SourceError: If a folder contains none of the images.
    """
    if not path.is_dir():
        requested = {_without_split(name): name for name in names}
        samples = (item for item in Fer2013Csv(path) if isinstance(item, Sample))
        images = ((requested.get(_without_split(sample.name)), sample.image) for sample in samples)
        return {name: image for name, image in images if name is not None}
    found = dict(_read_folder(path, names))
    if names and not found:
        raise SourceError(f"{path} contains none of the images of the data set, e.g. {next(iter(names))}")
    return found


def _without_split(name: str) -> str:
    """Return the name of an image without its split, which `build` may have assigned."""
    return name.split("/", 2)[2]


def _read_folder(root: Path, names: Iterable[str]) -> Iterable[tuple[str, Image]]:
    """Yield the images that exist; a split created by `build` has no folder of its own."""
    paths = {(file.split, file.folder, file.inside): file.path for file in find_files(root)}
    for name in names:
        split, folder, inside = name.lstrip("/").split("/", 2)
        keys = ((other, folder, inside) for other in (split, "", "train"))
        path = next((paths[key] for key in keys if key in paths), None)
        try:
            if path is not None:
                yield name, decode_image(read_bytes(path), path)
        except (ImageError, OSError):
            continue  # the contact sheet shows a reconstruction instead
