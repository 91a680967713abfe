"""``compute_image_mean``: mean image of a database."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from prototxt_like import glog
from prototxt_like.errors import FileError
from prototxt_like.io.files import write_mean
from prototxt_like.sources.database import database_records, decode_datum
from prototxt_like.tools.flags import Command, Flag

COMMAND = Command(
    "INPUT_DB [OUTPUT_FILE]",
    "Compute the mean image of a set of images given by an LMDB or LevelDB.",
    {"backend": Flag("lmdb", "Accepted as in Caffe; the kind of the database is found by its content.")},
    1,
    2,
)


def main(arguments: Sequence[str]) -> int:
    """Run the program and return its exit code.

    Source: BVLC/caffe tools/compute_image_mean.cpp
    """
    _, (database, *output) = COMMAND.parse(arguments)
    glog.info("compute_image_mean.cpp:74", "Starting iteration")
    mean = _mean(database)
    if output:
        glog.info("compute_image_mean.cpp:109", f"Write to {output[0]}")
        write_mean(mean, output[0])
    glog.info("compute_image_mean.cpp:115", f"Number of channels: {len(mean)}")
    for channel, plane in enumerate(mean):
        text = glog.number(float(plane.mean(dtype=np.float64)))
        glog.info("compute_image_mean.cpp:120", f"mean_value channel [{channel}]: {text}")
    return 0


def _mean(database: str) -> np.ndarray:
    """Return the mean image, (C, H, W) float32: the exact sum, rounded to float32, divided by the count."""
    total, count = np.zeros(0), 0
    for count, (key, value) in enumerate(database_records(database), 1):
        location = f"{database}: {key.decode(errors='backslashreplace')}"
        image, _ = decode_datum(value, location)
        if count == 1:
            total = np.zeros(image.shape, np.float64)  # exact for 2^45 images of uint8
        if image.shape != total.shape:
            raise FileError(f"{location}: incorrect size: found {image.shape}, expected {total.shape} as the first")
        total += image
        if count % 10000 == 0:
            glog.info("compute_image_mean.cpp:96", f"Processed {count} files.")
    if not count:
        raise FileError(f"{database} has no records; build the database again")
    if count % 10000:
        glog.info("compute_image_mean.cpp:102", f"Processed {count} files.")
    return np.asarray(total.astype(np.float32) / np.float32(count))
