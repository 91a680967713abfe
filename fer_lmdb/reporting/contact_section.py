"""The contact sheet of a data set: pictures with what was detected in them beside the faces that came out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fer_lmdb.data import detections
from fer_lmdb.data.dataset import DataSet
from fer_lmdb.data.lmdb_store import SplitArrays
from fer_lmdb.data.manifest import is_joined
from fer_lmdb.errors import DataSetError
from fer_lmdb.faces.detectors.base import Image
from fer_lmdb.reporting.elements import Group, ImageGrid, Tile
from fer_lmdb.reporting.source_images import name_of, read_originals
from fer_lmdb.visualization.contact_sheet import (
    NO_FACE,
    Example,
    contact_sheet,
    draw_example,
    example_of,
    sample_examples,
)

LEFT_OUT = "no face found, left out"
DROPPED_SHOWN = 12
PER_ROW = 6

DetectionRecord = Mapping[str, Any]


def contact(data_set: DataSet, faces: SplitArrays, source: Path | None, seed: int) -> ImageGrid:
    """Draw the contact sheet of the train split.

    Args:
        data_set: a built data set.
        faces: its train split.
        source: the csv or folder that it was built from, None where it is not at hand.
        seed: which faces are drawn.

    Raises:
        DataSetError: no detector ran, or detections.jsonl is missing, damaged or of another data set.
        SourceError: the source cannot be read, or holds none of the pictures.
    """
    kept, dropped = read_detections(data_set, len(faces.labels))
    groups = sample_examples(faces.labels, kept, data_set.scheme.classes, per_row=PER_ROW, seed=seed)
    left_out = dropped[:DROPPED_SHOWN]
    wanted = {name_of(kept[index]) for _, indices in groups for index in indices} | {name_of(one) for one in left_out}
    images = {} if source is None else read_originals(source, wanted)

    def original(key: str) -> Image | None:
        return images.get(name_of({"key": key}))

    rows = [
        (title, [example_of(faces.images[index, 0], kept[index], original) for index in indices])
        for title, indices in groups
    ]
    if left_out:
        shown = [images[name_of(one)] for one in left_out if name_of(one) in images]
        rows.append((LEFT_OUT, [Example(image, None, image) for image in shown]))
    caption = f"Train split, N = {len(faces.labels):,}, drawn at random (seed {seed}). {_told(source, images, wanted)}"
    return _as_faces(rows, caption)


def read_detections(data_set: DataSet, count: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Read what was detected in the pictures of the train split.

    Args:
        data_set: a built data set.
        count: faces of its train split.

    Returns:
        the records of the faces in their order, and those of the pictures that were left out.

    Raises:
        DataSetError: no detector ran here, or the file is missing, damaged or of another data set.
    """
    if data_set.manifest.get("detector") == "none":
        raise DataSetError("this data set was built with --detector none: every picture is a face as it is")
    if is_joined(data_set.manifest):
        raise DataSetError("this data set was joined from others: the detections stay with those")
    path = data_set.folder / detections.FILE_NAME
    records = [record for record in detections.read_detections(data_set.folder) if record["split"] == "train"]
    kept = [record for record in records if record["key"] is not None]
    if len(kept) != count:
        raise DataSetError(f"{path} has {len(kept)} faces, the train split {count}; build the data set again")
    return kept, [record for record in records if record["key"] is None]


def _told(source: Path | None, images: Mapping[str, Image], wanted: set[str]) -> str:
    """Return where the pictures come from."""
    if source is None:
        return (
            "The pictures are put together from the aligned faces, as far as these show them;"
            " for the originals say with --source where the csv or folder lies."
        )
    gone = len(wanted) - len(images)
    missing = f"; {gone} of {len(wanted)} are not there and were put together from the aligned faces" if gone else ""
    return f"The pictures come from {source.name}{missing}."


def _as_faces(rows: list[tuple[str, list[Example]]], caption: str) -> ImageGrid:
    groups = [Group(title, [Tile(draw_example(example)) for example in examples]) for title, examples in rows]
    caption = f"{caption} Left: the picture with box and landmarks; right: the face as the net gets it."
    title = f"Faces found and aligned, and pictures where {NO_FACE.replace('found', 'was found')}"
    return ImageGrid("contact-sheet", title, groups, caption, width=165, sheet=contact_sheet(rows))
