"""detections.jsonl: the detection of each face in a data set, one JSON object per line.

    {"split": "train", "key": "00000000_/train/3/01081.png", "box": [...], "score": ..., "landmarks": [...],
     "transform": [...], "state": "aligned"}

The state is "aligned", "unaligned" (no face detected, image in the database) or "dropped" (no face detected, image not
in the database; the line then has a null key and the image's name).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from fer_lmdb.data.sources import Sample
from fer_lmdb.errors import DataSetError
from fer_lmdb.faces.preprocessing import PreparedFace
from fer_lmdb.io.file_names import printable_path
from prototxt_like.io.datum_store import make_key

FILE_NAME = "detections.jsonl"


def detection_fields(prepared: PreparedFace) -> dict[str, Any]:
    """Return the detection of a face as plain values."""
    face = prepared.face.to_dict() if prepared.face is not None else {"box": None, "score": None, "landmarks": None}
    transform = [[round(float(value), 6) for value in row] for row in prepared.transform]
    return {**face, "transform": transform, "state": "aligned" if prepared.aligned else "unaligned"}


def append_detections(folder: Path, split: str, detections: Iterable[tuple[str, dict[str, Any]]]) -> None:
    """Append the detections of a split in the order of its database.

    Args:
        folder: Folder of the data set.
        split: "train", "val" or "test".
        detections: Name of each face and its `detection_fields`.
    """
    with (folder / FILE_NAME).open("a", encoding="utf-8") as file:
        for number, (name, detection) in enumerate(detections):
            key = os.fsdecode(make_key(number, name))
            file.write(json.dumps({"split": split, "key": key, **detection}) + "\n")


def append_dropped(folder: Path, dropped: Iterable[Sample]) -> None:
    """Append the images that were dropped because no face was detected."""
    with (folder / FILE_NAME).open("a", encoding="utf-8") as file:
        for sample in dropped:
            line = {"split": sample.split, "key": None, "name": sample.name, "state": "dropped"}
            file.write(json.dumps(line) + "\n")


def read_detections(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the detections of a data set, with the current names of states.

    Raises:
        DataSetError: If the file is missing or damaged.
    """
    from fer_lmdb.artifacts.base import read_lines
    from fer_lmdb.artifacts.detections import Detection

    path = Path(folder) / FILE_NAME
    try:
        for detection in read_lines(Detection, path, DataSetError, "build the data set again"):
            yield {"key": None, **detection.to_dict()}
    except FileNotFoundError:
        raise DataSetError(f"{printable_path(path)} is missing; build the data set again") from None
