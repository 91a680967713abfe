"""Manifest of a data set without one, in memory: everything that has to be known, checked in one pass."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import prototxt_like as pl
from fer_lmdb.data.caffe_folder import CaffeFolder, open_caffe_folder
from fer_lmdb.data.manifest import FORMAT, database_sha256, file_sha256
from fer_lmdb.errors import DataSetError
from fer_lmdb.faces.preprocessing import Preprocessing
from fer_lmdb.labels import LabelScheme
from prototxt_like.io.datum_store import (
    add_to_digest,
    check_structure,
    decode_datum,
    iterate,
    iterate_values,
)
from prototxt_like.limits import format_shape

TEST_IS_VALIDATION = "test is the phase TEST of Caffe and serves as validation; nothing is left for a final result"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DatabaseSummary:
    """Contents of a database.

    Attributes:
        shape: (C, H, W) of all images.
        labels: Images per label.
        sha256: Digest of all keys and values.
    """

    shape: tuple[int, ...]
    labels: Counter[int]
    sha256: str


def summarize(path: Path) -> DatabaseSummary:
    """Read a whole database.

    Raises:
        StoreError: If it is damaged or empty, or a record is not an image.
        DataSetError: If it is empty, or its images differ in shape.
    """
    check_structure(path)
    shape: tuple[int, ...] = ()
    labels: Counter[int] = Counter()
    total = hashlib.sha256()
    for key, value in iterate_values(path):
        image, label = decode_datum(value, f"{path}: {key.decode(errors='backslashreplace')}")
        shape = shape or image.shape
        if image.shape != shape:
            raise DataSetError(
                f"{path}: the images differ in size: found {format_shape(image.shape)} and {format_shape(shape)}; "
                "write the database with convert_imageset --resize_height H --resize_width W"
            )
        labels[label] += 1
        add_to_digest(total, key, value)
    if not labels:
        raise DataSetError(f"{path} is empty; write the database again")
    return DatabaseSummary(shape, labels, total.hexdigest())


def read_caffe_manifest(location: str, scheme: LabelScheme | None, assumed: LabelScheme | None) -> dict[str, Any]:
    """Read and check the databases of Caffe's tools.

    Args:
        location: See `open_caffe_folder`.
        scheme: Classes of the labels; None if they are unknown.
        assumed: Classes to assume then; None for an error.

    Returns:
        The manifest; what was assumed is logged.

    Raises:
        DataSetError: If the class names are unknown, or the files contradict each other.
        StoreError, FileError: If a file is damaged.
    """
    manifest = make_manifest(open_caffe_folder(location), scheme or assumed)
    if scheme is None and assumed is None:
        raise DataSetError(
            f"{location}: the names of its {len(manifest['classes'])} classes are unknown; "
            "pass them in label order with --labels NAME,NAME,... or a file with one name per line"
        )
    if scheme is None:
        log.warning("%s: the labels are assumed to be %s", location, ", ".join(manifest["classes"]))
    for line in manifest["notes"]:
        log.warning("%s", line)
    return manifest


def compute_mean(paths: Sequence[Path], count: int) -> NDArray[np.float32]:
    """Return the mean of the images of databases, (C, H, W), rounded like Caffe's compute_image_mean."""
    log.warning("%s: no mean image found; the train split is averaged", paths[0].parent)
    images = (record.image for path in paths for record in iterate(path))
    total = next(images).astype(np.int64)
    for image in images:
        total += image
    return total.astype(np.float32) / np.float32(count)


def make_manifest(files: CaffeFolder, scheme: LabelScheme | None) -> dict[str, Any]:
    """Return the manifest that ``fer-lmdb build`` would have written.

    With "train" and "test" alone, "test" becomes the split "val", see `TEST_IS_VALIDATION`.

    Args:
        files: Databases and mean image.
        scheme: Label scheme; None names the classes by their labels.

    Raises:
        StoreError, FileError: If a file is damaged.
        DataSetError: If databases and mean differ in shape, or a label is not in the scheme.
    """
    found = {split: summarize(path) for split, path in files.databases.items()}
    shape = _common_shape(files, found)
    scheme = scheme or _numbered(found)
    for split, each in found.items():
        _check_labels(files.databases[split], each.labels, scheme)
    splits = {split: _entry(files.databases[split], each, scheme) for split, each in found.items()}
    digest = hashlib.sha256("".join(entry["sha256"] for entry in splits.values()).encode())
    notes = []
    if set(splits) == {"train", "test"}:
        splits["val"] = splits.pop("test")
        notes.append(f"{files.location}: {TEST_IS_VALIDATION}")
    if files.unused:
        notes.append(f"{files.location}: not used: {', '.join(path.name for path in files.unused)}")
    preprocessing = Preprocessing(detector="none", size=shape[1], channel_order="gray" if shape[0] == 1 else "bgr")
    return {
        "format": FORMAT,
        "scheme": scheme.name,
        "classes": list(scheme.classes),
        "size": shape[1],
        "channels": shape[0],
        "detector": "none",
        "align": None,
        "preprocessing": preprocessing.to_dict(),
        "seed": None,
        "on_no_face": None,
        "encoding": "Datum",
        "unreadable": 0,
        "source": {
            "name": files.location,
            "sha256": digest.hexdigest(),
            "rows": sum(each["count"] for each in splits.values()),
        },
        "mean": {} if files.mean is None else {"path": str(files.mean), "sha256": file_sha256(files.mean)},
        "splits": splits,
        "notes": notes,
    }


def _entry(path: Path, found: DatabaseSummary, scheme: LabelScheme) -> dict[str, Any]:
    return {
        "database": str(path),
        "count": found.labels.total(),
        "detected": 0,
        "unaligned": found.labels.total(),
        "dropped": 0,
        "per_class": {name: found.labels[label] for label, name in enumerate(scheme.classes)},
        "sha256": found.sha256,
        "file_sha256": database_sha256(path),
    }


def _common_shape(files: CaffeFolder, found: dict[str, DatabaseSummary]) -> tuple[int, int, int]:
    shapes: dict[str, tuple[int, ...]] = {str(files.databases[split]): each.shape for split, each in found.items()}
    if files.mean is not None:
        shapes[str(files.mean)] = pl.read_mean(files.mean).shape
    (first, (channels, height, width)), *others = shapes.items()
    for path, shape in others:
        if shape != (channels, height, width):
            raise DataSetError(
                f"{path} does not fit {first}: found {format_shape(shape)}, expected "
                f"{format_shape((channels, height, width))}; name files that belong together with --data train=..."
            )
    if channels not in (1, 3) or height != width:
        raise DataSetError(
            f"{first}: found images of {format_shape((channels, height, width))}, expected squares in gray or color; "
            "train them with: python -m prototxt_like train"
        )
    return channels, height, width


def _numbered(found: dict[str, DatabaseSummary]) -> LabelScheme:
    """Return a scheme whose classes are named by their labels."""
    largest = max(max(each.labels) for each in found.values())
    return LabelScheme("custom", tuple(str(label) for label in range(max(largest, 0) + 1)))


def _check_labels(path: Path, labels: Counter[int], scheme: LabelScheme) -> None:
    odd = [label for label in (min(labels), max(labels)) if not 0 <= label < len(scheme)]
    if odd:
        raise DataSetError(
            f"{path}: invalid label: found {odd[0]}, expected 0 to {len(scheme) - 1}; pass all {max(labels) + 1} class "
            "names in label order with --labels"
        )
