"""Mean images equal those of Caffe's compute_image_mean."""

from __future__ import annotations

from pathlib import Path

import pytest

from fer_lmdb.data.build.mean import MeanAccumulator
from prototxt_like.io import datum_store
from tests.archives import unpack


@pytest.mark.parametrize("split", ["train", "test"])
def test_mean_equals_compute_image_mean(shared: Path, tmp_path: Path, split: str) -> None:
    unpack(shared / "golden" / "caffe" / f"img_{split}_lmdb.tar.xz", tmp_path)
    images = datum_store.read_split(tmp_path / f"img_{split}_lmdb").images
    mean = MeanAccumulator(images.shape[-1])
    for image in images[:, 0]:
        mean.add(image)
    mean.write(tmp_path / "mean.binaryproto")
    expected = (shared / "golden" / "caffe" / f"{split}_mean.binaryproto").read_bytes()
    assert (tmp_path / "mean.binaryproto").read_bytes() == expected
