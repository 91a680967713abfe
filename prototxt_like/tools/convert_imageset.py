"""``convert_imageset``: convert a list of images to a database."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from prototxt_like import glog
from prototxt_like.errors import FileError
from prototxt_like.io.image_list import ListedImage, listed_path, read_image_list
from prototxt_like.schema.caffe_schema_pb2 import Datum
from prototxt_like.sources.image_list import read_image
from prototxt_like.tools.flags import Command, Flag
from prototxt_like.tools.record_writer import Record, write_records

COMMAND = Command(
    "ROOTFOLDER/ LISTFILE DB_NAME",
    "Convert a set of images to the lmdb/leveldb format used as input for Caffe.",
    {
        "gray": Flag(False, "Treat images as grayscale ones."),
        "shuffle": Flag(False, "Randomly shuffle the order of images and their labels."),
        "seed": Flag(-1, "Seed of the shuffle; -1: a random seed. Not in Caffe."),
        "backend": Flag("lmdb", "The backend {lmdb, leveldb} for storing the result."),
        "resize_width": Flag(0, "Width images are resized to."),
        "resize_height": Flag(0, "Height images are resized to."),
        "check_size": Flag(False, "Check that all the datum have the same size."),
        "encoded": Flag(False, "Save the encoded image in the datum."),
        "encode_type": Flag("", "Type to encode the image as ('png', 'jpg', ...)."),
    },
    3,
    3,
)


def main(arguments: Sequence[str]) -> int:
    """Run the program and return its exit code.

    Source: BVLC/caffe tools/convert_imageset.cpp
    """
    flags, (root, list_file, database) = COMMAND.parse(arguments)
    lines = read_image_list(list_file)
    if flags["shuffle"]:
        glog.info("convert_imageset.cpp:87", "Shuffling data")
        random.Random(None if flags["seed"] == -1 else flags["seed"]).shuffle(lines)
    glog.info("convert_imageset.cpp:90", f"A total of {len(lines)} images.")
    count = write_records(database, str(flags["backend"]), _records(lines, root, flags))
    glog.info("convert_imageset.cpp:151", f"Processed {count} files.")
    if count < len(lines):
        glog.error("convert_imageset.cpp:124", f"{len(lines) - count} of {len(lines)} images could not be read")
    return 0


def _records(lines: Sequence[ListedImage], root: str, flags: dict[str, Any]) -> Iterator[Record]:
    size = 0
    for number, line in enumerate(lines):
        try:
            datum = _datum(listed_path(root, line.path), line.label, flags)
        except FileError as error:
            glog.error("io.cpp:80", f"Could not open or find file: {error}")
            continue
        if flags["check_size"]:
            size = size or len(datum.data)
            if len(datum.data) != size:
                raise FileError(f"{line.path}: incorrect data field size: found {len(datum.data)}, expected {size}")
        key = f"{number:08d}_{line.path}".encode(errors="surrogateescape")
        yield key, datum.SerializeToString(deterministic=True)
        if (number + 1) % 1000 == 0:
            glog.info("convert_imageset.cpp:144", f"Processed {number + 1} files.")


def _datum(path: str, label: int, flags: dict[str, Any]) -> Datum:
    """Return the Datum of an image file.

    Source: BVLC/caffe src/caffe/util/io.cpp, ReadImageToDatum
    """
    resized = (max(0, flags["resize_height"]), max(0, flags["resize_width"]))
    kind = flags["encode_type"] or (Path(path).suffix.lstrip(".").lower() if flags["encoded"] else "")
    image = read_image(path, resized, is_color=not flags["gray"])
    if not kind:
        channels, height, width = image.shape
        return Datum(channels=channels, height=height, width=width, data=image.tobytes(), label=label, encoded=False)
    if not flags["gray"] and not any(resized) and _has_suffix(path, kind):
        return Datum(data=Path(path).read_bytes(), label=label, encoded=True)
    return Datum(data=_encode(image, kind, path), label=label, encoded=True)


def _has_suffix(path: str, kind: str) -> bool:
    names = {"jpeg": "jpg"}
    suffix = Path(path).suffix.lstrip(".").lower()
    return names.get(suffix, suffix) == names.get(kind, kind)


def _encode(image: Any, kind: str, path: str) -> bytes:
    import cv2

    try:
        _, data = cv2.imencode(f".{kind}", image.transpose(1, 2, 0))
    except cv2.error:
        raise FileError(f"{path}: cannot be encoded as {kind!r}; use -encode_type png or jpg") from None
    return data.tobytes()
