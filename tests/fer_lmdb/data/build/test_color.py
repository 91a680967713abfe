"""Data sets in color and in the order of the source, from a list as convert_imageset takes it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

import prototxt_like as pl
from fer_lmdb.data.build import build
from fer_lmdb.inspection.inspect import inspect
from prototxt_like.io.datum_store import read_split


@pytest.mark.parametrize("encoding", ["raw", "png"])
def test_a_list_becomes_a_database_in_color(tmp_path: Path, encoding: str) -> None:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)  # blue, green, red
    for number, image in enumerate(images):
        cv2.imwrite(str(tmp_path / f"{number}.png"), image)
    (tmp_path / "list.txt").write_text("".join(f"{number}.png {number % 3}\n" for number in range(6)))
    data = build(
        tmp_path / "list.txt",
        tmp_path / "out",
        labels="angry,happy,neutral",
        split_ratio="100/0/0",
        detector="none",
        size=8,
        channel_order="bgr",
        shuffle=False,
        encoding=encoding,
    )
    stored = read_split(tmp_path / "out" / "train_lmdb")
    np.testing.assert_array_equal(stored.images, images.transpose(0, 3, 1, 2))
    assert stored.keys == [f"{number:08d}_/train/{number % 3}/{number}.png" for number in range(6)]
    assert (data.channels, data.preprocessing.channel_order) == (3, "bgr")
    mean = pl.read_mean(tmp_path / "out" / "mean.binaryproto")
    np.testing.assert_allclose(mean, images.transpose(0, 3, 1, 2).mean(axis=0), atol=1e-4)
    assert inspect(tmp_path / "out", verify=True)["problems"] == []
