from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from prototxt_like.errors import NetError
from prototxt_like.layers import Layer

POOLED = (3, 2)


def reference(x: np.ndarray, rois: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Forward_cpu of caffe-fast-rcnn's roi_pooling_layer.cpp: maxima and their positions, -1 in an empty cell."""
    height, width = x.shape[2:]
    top = np.zeros((len(rois), x.shape[1], *POOLED))
    position = np.full(top.shape, -1)
    for r, roi in enumerate(rois):
        x1, y1, x2, y2 = (math.floor(value * scale + 0.5) for value in roi[1:])
        bin_h, bin_w = max(y2 - y1 + 1, 1) / POOLED[0], max(x2 - x1 + 1, 1) / POOLED[1]
        for c, ph, pw in np.ndindex(x.shape[1], *POOLED):
            hs, he = math.floor(ph * bin_h), math.ceil((ph + 1) * bin_h)
            ws, we = math.floor(pw * bin_w), math.ceil((pw + 1) * bin_w)
            hs, he = (min(max(value + y1, 0), height) for value in (hs, he))
            ws, we = (min(max(value + x1, 0), width) for value in (ws, we))
            if he <= hs or we <= ws:
                continue
            window = x[int(roi[0]), c, hs:he, ws:we]
            h, w = np.unravel_index(window.argmax(), window.shape)
            top[r, c, ph, pw] = window.max()
            position[r, c, ph, pw] = (hs + h) * width + ws + w
    return top, position


def build(make_layer: Callable[..., Layer], regions: int, scale: float = 0.5) -> Layer:
    text = 'type: "ROIPooling" bottom: "x" bottom: "r" roi_pooling_param { pooled_h: 3 pooled_w: 2 spatial_scale: '
    return make_layer(f"{text}{scale} }}", (2, 3, 7, 6), (regions, 5))


def test_values_and_gradient(make_layer: Callable[..., Layer]) -> None:
    generator = np.random.default_rng(3)
    x = generator.standard_normal((2, 3, 7, 6))
    corners = generator.uniform(0, 14, (12, 2, 2))
    corners.sort(1)
    rois = np.concatenate([generator.integers(0, 2, (12, 1)), corners.reshape(12, 4)], 1)
    rois[0, 1:] = 4, 4, 4, 4  # one pixel
    rois[1, 1:] = 20, 20, 30, 30  # outside
    rois[2, 1:] = 5, 3, 2, 9  # reversed in x: width 1
    rois[3, 1:] = 3, 3, 5, 5  # halves are rounded up
    inputs = torch.from_numpy(x).requires_grad_()
    top = build(make_layer, 12)(inputs, torch.from_numpy(rois))
    expected, position = reference(x, rois, 0.5)
    np.testing.assert_allclose(top.detach(), expected)
    weights = generator.standard_normal(top.shape)
    top.backward(torch.from_numpy(weights))
    gradient = np.zeros_like(x)
    for r, c, ph, pw in np.ndindex(*top.shape):
        if position[r, c, ph, pw] >= 0:
            gradient[int(rois[r, 0]), c].reshape(-1)[position[r, c, ph, pw]] += weights[r, c, ph, pw]
    np.testing.assert_allclose(inputs.grad, gradient)


def test_other_numbers_of_regions(make_layer: Callable[..., Layer]) -> None:
    layer, x = build(make_layer, 4), torch.randn(2, 3, 7, 6)
    assert layer(x, torch.zeros(1, 5)).shape == (1, 3, 3, 2)
    assert layer(x, torch.zeros(0, 5)).shape == (0, 3, 3, 2)
    assert layer(x, torch.zeros(2, 5, 1, 1)).shape == (2, 3, 3, 2)


def test_errors(rejects: Callable[..., None], make_layer: Callable[..., Layer]) -> None:
    text = 'type: "ROIPooling" bottom: "x" bottom: "r" roi_pooling_param { pooled_h: 3 '
    rejects("pooled_h and pooled_w must be positive, found 3 x 0", text + "}", (2, 3, 7, 6), (4, 5))
    rejects("5 values per region, found 4 x 4", text + "pooled_w: 2 }", (2, 3, 7, 6), (4, 4))
    rejects("bottom 0 must have 4 axes", text + "pooled_w: 2 }", (2, 3, 7), (4, 5))
    with pytest.raises(NetError, match=r'layer "it" \(ROIPooling\): item of a region 2 is outside 0 to 1'):
        build(make_layer, 1)(torch.randn(2, 3, 7, 6), torch.tensor([[2.0, 0, 0, 1, 1]]))
