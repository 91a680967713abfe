"""Contact sheet of a data set: source images with detections beside the resulting faces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fer_lmdb.data import detections
from fer_lmdb.data.dataset import DataSet
from fer_lmdb.data.manifest import is_joined
from fer_lmdb.errors import DataSetError
from fer_lmdb.faces.detectors.base import Image
from fer_lmdb.io.pixels import from_planes
from fer_lmdb.reporting.elements import Group, ImageGrid, Tile
from fer_lmdb.reporting.source_images import name_of, read_source_images
from fer_lmdb.visualization.contact_sheet import Example, contact_sheet, draw_example, example_of, sample_examples
from prototxt_like.io.datum_store import SplitArrays

DROPPED_TITLE = "no face found, dropped"
DROPPED_SHOWN = 12
PER_ROW = 6

DetectionRecord = Mapping[str, Any]
Rows = list[tuple[str, list[Example]]]


def contact(data_set: DataSet, faces: SplitArrays, source: Path | None, seed: int) -> ImageGrid:
    """Draw the contact sheet of the train split.

    Args:
        data_set: Built data set.
        faces: Its train split.
        source: Csv or image folder that it was built from; None if it is not available.
        seed: Seed of the selection.

    Raises:
        DataSetError: If no detector was used, or detections.jsonl is missing, damaged or of another data set.
        SourceError: If the source cannot be read or contains none of the images.
    """
    records, dropped = train_detections(data_set, len(faces.labels))
    groups = sample_examples(faces.labels, records, data_set.scheme.classes, per_row=PER_ROW, seed=seed)
    dropped = dropped[:DROPPED_SHOWN]
    names = {name_of(records[index]) for _, indices in groups for index in indices} | set(map(name_of, dropped))
    images = {} if source is None else read_source_images(source, names)
    rows = _rows(groups, records, faces, images)
    if dropped:
        found = [images[name_of(record)] for record in dropped if name_of(record) in images]
        rows.append((DROPPED_TITLE, [Example(image, None, image) for image in found]))
    origin = _describe_origin(source, len(images), len(names))
    caption = (
        f"Random sample (seed {seed}) of the train split, N = {len(faces.labels):,}. {origin}"
        " Left: the image with box and landmarks; right: the preprocessed face."
    )
    return _to_grid(rows, caption)


def train_detections(data_set: DataSet, count: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Read the detections of the train split.

    Args:
        data_set: Built data set.
        count: Number of faces in its train split.

    Returns:
        Records of the faces, in order, and records of dropped images.

    Raises:
        DataSetError: If no detector was used, or the file is missing, damaged or of another data set.
    """
    if data_set.manifest.get("detector") == "none":
        raise DataSetError("the data set was built with --detector none, so there are no detections")
    if is_joined(data_set.manifest):
        raise DataSetError("the data set was joined from others, which contain the detections")
    records = [record for record in detections.read_detections(data_set.folder) if record["split"] == "train"]
    kept = [record for record in records if record["key"] is not None]
    if len(kept) != count:
        path = data_set.folder / detections.FILE_NAME
        raise DataSetError(
            f"{path}: wrong number of faces: found {len(kept)}, expected {count}; build the data set again"
        )
    return kept, [record for record in records if record["key"] is None]


def _rows(
    groups: Sequence[tuple[str, Sequence[int]]],
    records: Sequence[DetectionRecord],
    faces: SplitArrays,
    images: Mapping[str, Image],
) -> Rows:
    def source_image(key: str) -> Image | None:
        return images.get(name_of({"key": key}))

    return [
        (title, [example_of(from_planes(faces.images[index]), records[index], source_image) for index in indices])
        for title, indices in groups
    ]


def _describe_origin(source: Path | None, found: int, total: int) -> str:
    if source is None:
        return (
            "The images are reconstructed from the aligned faces as far as possible;"
            " set the csv or image folder with --source to show the source images."
        )
    if found == total:
        return f"The images are from {source.name}."
    return (
        f"The images are from {source.name}; {total - found} of {total} are missing and reconstructed from the faces."
    )


def _to_grid(rows: Rows, caption: str) -> ImageGrid:
    groups = [Group(title, [Tile(draw_example(example)) for example in examples]) for title, examples in rows]
    title = "Detected and aligned faces, and images without a detected face"
    return ImageGrid("contact-sheet", title, groups, caption, width=165, sheet=contact_sheet(rows))
