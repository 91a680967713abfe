"""Batched bilinear crops of boxes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from fer_lmdb.faces.detectors.mtcnn.boxes import IMAGE, X1, X2, Y1, Y2, Proposals
from fer_lmdb.faces.detectors.mtcnn.pyramid import normalize


def crop_patches(images: Tensor, table: Proposals, size: int) -> Tensor:
    """Crop boxes with bilinear interpolation; pixels outside the image are mid-gray.

    Args:
        images: (N, H, W, 3) uint8 RGB.
        table: (M, 6) proposals; boxes can extend beyond their image.
        size: Side of the patches in pixels.

    Returns:
        (M, 3, size, size) float32, range -1 to 1, channels last in memory.

    Source: tensorflow/core/kernels/image/crop_and_resize_op.cc, and mtcnn 1.0.0, function extract_patches
    """
    _, height, width, _ = images.shape
    y, y_inside = _positions(table[:, Y1], table[:, Y2], height, size, images.device)
    x, x_inside = _positions(table[:, X1], table[:, X2], width, size, images.device)
    image = torch.from_numpy(table[:, IMAGE].astype(np.int64)).to(images.device)
    upper, lower = (_row_starts(image, rows, height, width) for rows in (y.floor(), y.ceil()))
    left, right = x.floor().long()[:, None, :], x.ceil().long()[:, None, :]
    pixels = images.view(-1, 3)
    across, down = x.frac()[:, None, :, None], y.frac()[:, :, None, None]
    above = torch.lerp(_take(pixels, upper + left), _take(pixels, upper + right), across)
    below = torch.lerp(_take(pixels, lower + left), _take(pixels, lower + right), across)
    patches = normalize(torch.lerp(above, below, down))  # (M, size, size, 3)
    patches *= (y_inside[:, :, None] & x_inside[:, None, :])[..., None]
    return patches.permute(0, 3, 1, 2)


def _positions(begin: Proposals, end: Proposals, length: int, size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Compute the positions of the pixels of the patches along one axis of the image.

    Division by `length` and multiplication by `length - 1` are the original's, in its order and precision.

    Returns:
        (M, size) float32 positions, clipped to the image, and (M, size) bool, True inside the image.
    """
    first = (begin / length).astype(np.float32)[:, None]
    last = (end / length).astype(np.float32)[:, None]
    step = (last - first) * np.float32(length - 1) / np.float32(size - 1)
    positions = first * np.float32(length - 1) + np.arange(size, dtype=np.float32) * step
    inside = (positions >= 0) & (positions <= length - 1)
    edge = positions.clip(0, length - 1)
    return torch.from_numpy(edge).to(device), torch.from_numpy(inside).to(device)


def _row_starts(image: Tensor, rows: Tensor, height: int, width: int) -> Tensor:
    """Return the (M, size, 1) index of the first pixel of each row among all pixels of all images."""
    return ((image[:, None] * height + rows.long()) * width)[:, :, None]


def _take(pixels: Tensor, indices: Tensor) -> Tensor:
    """(P, 3) uint8 and (M, size, size) indices -> (M, size, size, 3) float32."""
    return pixels.index_select(0, indices.flatten()).view(*indices.shape, 3).float()
