"""MTCNN detector: proposals on an image pyramid, refinement, final decision with landmarks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fer_lmdb.faces.detectors.base import Face, Image, as_rgb
from fer_lmdb.faces.detectors.mtcnn import boxes, nets
from fer_lmdb.faces.detectors.mtcnn.boxes import IMAGE, SCORE, X1, X2, Y1, Y2, Proposals
from fer_lmdb.faces.detectors.mtcnn.patches import crop_patches
from fer_lmdb.faces.detectors.mtcnn.pyramid import Level, levels, tiles
from fer_lmdb.faces.detectors.mtcnn.weights import weights_folder
from fer_lmdb.runtime.device import resolve_device

PROPOSAL_THRESHOLD = 0.6
REFINED_THRESHOLD = 0.7
IMAGES_AT_ONCE = 512
PIXELS_AT_ONCE = 1 << 22
PATCHES_AT_ONCE = {24: 128, 48: 48}
"""Batch size by patch size, such that the activations fit into the processor's cache."""


class Mtcnn:
    """Face detector with five landmarks.

    Results equal those of `mtcnn` 1.0.0 on TensorFlow with one image per call, except that boxes and landmarks are not
    rounded to integers.

    Args:
        min_face: Side of the smallest window of the pyramid, in pixels; the detected face can be smaller.
        threshold: Minimum probability of a face, 0 to 1.
        device: Torch device, e.g. "cpu" or "cuda:1".

    Raises:
        DetectorError: If the weights are missing or damaged.
        DeviceError: If the device is not available.
    """

    def __init__(self, min_face: float = 20, threshold: float = 0.8, device: str = "cpu") -> None:
        self.min_face = min_face
        self.threshold = threshold
        self.device = resolve_device(device)
        folder = weights_folder()
        self._pnet = nets.load_network(nets.PNet, folder, self.device)
        self._rnet = nets.load_network(nets.RNet, folder, self.device)
        self._onet = nets.load_network(nets.ONet, folder, self.device)

    @torch.inference_mode()
    def detect(self, images: Sequence[Image]) -> list[list[Face]]:
        """Detect the faces in each image; see `Detector.detect`. Images of equal size are processed as one batch."""
        arrays = [as_rgb(image, position) for position, image in enumerate(images)]
        found: list[list[Face]] = [[] for _ in arrays]
        for positions in _batches(arrays):
            stack = _stack([arrays[position] for position in positions])
            for row in self._detect_stack(torch.from_numpy(stack).to(self.device)):
                found[positions[int(row[IMAGE])]].append(_face(row))
        return found

    def _detect_stack(self, images: Tensor) -> Proposals:
        """(N, H, W, 3) uint8 -> (M, 16): image, x1, y1, x2, y2, score, five x, five y; highest score first."""
        table = self._propose(images)
        table = self._refine(images, table)
        table = self._decide(images, table)
        return boxes.clip(table, images.shape[1], images.shape[2])

    def _propose(self, images: Tensor) -> Proposals:
        found = [np.empty((0, 6))]
        for level in levels(images.shape[1], images.shape[2], self.min_face):
            found.append(boxes.suppress(self._propose_level(images, level), 0.5))
        return boxes.make_square(boxes.suppress(np.concatenate(found), 0.7))

    def _propose_level(self, images: Tensor, level: Level) -> Proposals:
        found = [np.empty((0, 6))]
        for tile in tiles(images, level):
            shifts, probabilities = self._pnet(tile.pixels)
            positions = torch.nonzero(probabilities > PROPOSAL_THRESHOLD)
            image, row, column = positions.unbind(1)
            chosen = torch.cat([shifts[image, :, row, column], probabilities[image, row, column, None]], dim=1)
            origin = np.array([tile.first_image, tile.first_row // nets.STRIDE, 0])
            found.append(_windows(positions.cpu().numpy() + origin, chosen.cpu().numpy()))
        table = np.concatenate(found)
        table[:, X1 : Y2 + 1] /= level.scale
        return table

    def _refine(self, images: Tensor, table: Proposals) -> Proposals:
        results = [self._rnet(patches) for patches in _patches(images, table, 24)]
        shifts, probabilities = _joined(results, (4, 0))
        table[:, SCORE] = probabilities
        table = boxes.shift_edges(table, shifts)[probabilities > REFINED_THRESHOLD]
        return boxes.make_square(boxes.suppress(table, 0.7))

    def _decide(self, images: Tensor, table: Proposals) -> Proposals:
        results = [self._onet(patches) for patches in _patches(images, table, 48)]
        shifts, probabilities, landmarks = _joined(results, (4, 0, 10))
        table[:, SCORE] = probabilities
        placed = np.concatenate([boxes.shift_edges(table, shifts), _landmarks(table, landmarks)], axis=1)
        return boxes.suppress(placed[probabilities > self.threshold], 0.7, smaller_area=True)


def _batches(images: list[Image]) -> Iterator[list[int]]:
    """Yield positions of images of equal size, at most one batch at a time."""
    by_size: dict[tuple[int, ...], list[int]] = {}
    for position, image in enumerate(images):
        by_size.setdefault(image.shape, []).append(position)
    for (height, width, _), positions in by_size.items():
        count = min(IMAGES_AT_ONCE, max(1, PIXELS_AT_ONCE // (height * width)))
        for start in range(0, len(positions), count):
            yield positions[start : start + count]


def _stack(images: list[Image]) -> Image:
    if len(images) == 1:  # the image can be huge; it is copied only if PyTorch could not wrap it
        return np.require(images[0], requirements=["C", "W"])[None]
    return np.stack(images)


def _windows(positions: NDArray[np.int64], values: NDArray[np.float32]) -> Proposals:
    """Return boxes on the pyramid level from PNet's output.

    Args:
        positions: (M, 3) image, row, column of the window.
        values: (M, 5) offsets of x1, y1, x2, y2 in units of the window, and probability.
    """
    table = np.empty((len(positions), 6))
    corner = positions[:, [2, 1]] * nets.STRIDE + 1
    table[:, IMAGE] = positions[:, 0]
    # The original numbers the pixels of a window from 1 to 12 but uses 12 - 1 as its side.
    table[:, X1 : Y1 + 1] = corner + values[:, 0:2] * (nets.CELL_SIZE - 1)
    table[:, X2 : Y2 + 1] = corner + (nets.CELL_SIZE - 1) + values[:, 2:4] * (nets.CELL_SIZE - 1)
    table[:, SCORE] = values[:, 4]
    return table


def _patches(images: Tensor, table: Proposals, size: int) -> Iterator[Tensor]:
    step = PATCHES_AT_ONCE[size]
    for start in range(0, len(table), step):
        yield crop_patches(images, table[start : start + step], size)


def _joined(results: list[tuple[Tensor, ...]], widths: tuple[int, ...]) -> list[NDArray[np.float32]]:
    """Concatenate results; `widths` has the number of columns of each (0: a vector) in case there are no results."""
    if not results:
        return [np.empty((0, width) if width else 0, np.float32) for width in widths]
    return [torch.cat(parts).cpu().numpy() for parts in zip(*results, strict=True)]


def _landmarks(table: Proposals, landmarks: NDArray[np.float32]) -> Proposals:
    """(M, 10) five x, then five y in units of the box -> pixels of the image."""
    width, height = boxes.sizes(table)
    x = width[:, None] * landmarks[:, :5] + table[:, X1, None] - 1
    y = height[:, None] * landmarks[:, 5:] + table[:, Y1, None] - 1
    return np.concatenate([x, y], axis=1)


def _face(row: Proposals) -> Face:
    box = np.array([row[X1], row[Y1], row[X2] - row[X1], row[Y2] - row[Y1]], np.float32)
    landmarks = np.stack([row[6:11], row[11:16]], axis=1).astype(np.float32)
    return Face(box, float(row[SCORE]), landmarks)
