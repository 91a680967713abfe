from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from prototxt_like.layers import Layer

LAYER = "Pooling"


def test_equals_caffe(golden_case: Path, check_golden: Callable[..., None]) -> None:
    check_golden(golden_case)


MAX, AVE = "MAX", "AVE"


def pool_by_hand(plane: np.ndarray, method: str, kernel: int, stride: int, pad: int, ceil: bool) -> np.ndarray:
    """Apply Caffe's rule to one plane, window by window."""
    sizes = []
    for size in plane.shape:
        steps = (size + 2 * pad - kernel) / stride
        number = int(np.ceil(steps) if ceil else np.floor(steps)) + 1
        if pad and (number - 1) * stride >= size + pad:
            number -= 1
        sizes.append(number)
    top = np.zeros(sizes)
    for y, x in np.ndindex(*sizes):
        start = np.array([y, x]) * stride - pad
        stop = np.minimum(start + kernel, np.array(plane.shape) + pad)
        area = np.prod(stop - start)
        low, high = np.maximum(start, 0), np.minimum(stop, plane.shape)
        window = plane[low[0] : high[0], low[1] : high[1]]
        if window.size == 0:
            top[y, x] = np.finfo(np.float32).min if method == MAX else 0
        else:
            top[y, x] = window.max() if method == MAX else window.sum() / area
    return top


@pytest.mark.parametrize("method", [MAX, AVE])
@pytest.mark.parametrize("mode", ["CEIL", "FLOOR"])
@pytest.mark.parametrize(
    ("kernel", "stride", "pad"), [(2, 2, 0), (3, 2, 0), (3, 2, 1), (3, 1, 2), (2, 3, 0), (2, 3, 1), (5, 3, 4)]
)
def test_every_window(
    method: str, mode: str, kernel: int, stride: int, pad: int, make_layer: Callable[..., Layer]
) -> None:
    """Sizes from 5 to 9, including windows that start outside and padding wider than half the kernel."""
    for height in range(5, 10):
        shape = (1, 2, height, 14 - height)
        layer = make_layer(
            f'type: "Pooling" bottom: "x" pooling_param {{ pool: {method} kernel_size: {kernel} stride: {stride} '
            f"pad: {pad} round_mode: {mode} }}",
            shape,
        )
        x = torch.randn(shape)
        expected = np.stack(
            [pool_by_hand(plane, method, kernel, stride, pad, mode == "CEIL") for plane in x[0].numpy()]
        )
        np.testing.assert_allclose(layer(x)[0].numpy(), expected, rtol=1e-5, atol=1e-6)
        assert layer.top_shapes == [(1, *expected.shape)]


@pytest.mark.parametrize(("kernel", "stride", "pad"), [(3, 2, 1), (2, 3, 0), (3, 1, 2)])
def test_mask_contains_the_index_of_the_maximum(
    kernel: int, stride: int, pad: int, make_layer: Callable[..., Layer]
) -> None:
    shape = (2, 3, 6, 9)
    layer = make_layer(
        f'type: "Pooling" bottom: "x" pooling_param {{ kernel_size: {kernel} stride: {stride} pad: {pad} }}',
        shape,
        tops=2,
    )
    x = torch.randn(shape)
    top, mask = layer(x)
    assert mask.dtype == torch.float32
    found = x.flatten(2).gather(2, mask.long().clamp(min=0).flatten(2)).reshape(top.shape)
    empty = mask < 0
    assert torch.equal(found[~empty], top[~empty])
    assert (top[empty] == torch.finfo(torch.float32).min).all()
    assert empty.any() == (kernel < stride)


def test_max_selects_the_first_of_equal_values(make_layer: Callable[..., Layer]) -> None:
    text = 'type: "Pooling" bottom: "x" pooling_param { kernel_size: 3 stride: 3 }'
    for memory_format in (torch.contiguous_format, torch.channels_last):
        x = torch.ones(1, 2, 3, 6).contiguous(memory_format=memory_format).requires_grad_()
        make_layer(text, (1, 2, 3, 6))(x).sum().backward()
        assert x.grad is not None
        assert x.grad[0, 0].nonzero().tolist() == [[0, 0], [0, 3]]


@pytest.mark.parametrize("method", [MAX, AVE])
def test_global_pooling_follows_the_input_size(method: str, make_layer: Callable[..., Layer]) -> None:
    layer = make_layer(
        f'type: "Pooling" bottom: "x" pooling_param {{ pool: {method} global_pooling: true }}', (2, 3, 4, 5)
    )
    assert layer.top_shapes == [(2, 3, 1, 1)]
    x = torch.randn(2, 3, 7, 6)
    expected = x.amax((2, 3), keepdim=True) if method == MAX else x.mean((2, 3), keepdim=True)
    torch.testing.assert_close(layer(x), expected)


def test_stochastic_samples_proportionally_and_averages_in_test(make_layer: Callable[..., Layer]) -> None:
    text = 'type: "Pooling" bottom: "x" pooling_param { pool: STOCHASTIC kernel_size: 2 stride: 2 }'
    window = torch.tensor([[0.0, 1.0], [3.0, 6.0]])
    x = window.repeat(4, 5, 100, 100)
    torch.manual_seed(1)
    drawn = make_layer(text, x.shape, phase="TRAIN")(x)
    assert drawn.shape == (4, 5, 100, 100)
    shares = [(drawn == value).float().mean().item() for value in (0, 1, 3, 6)]
    np.testing.assert_allclose(shares, [0, 0.1, 0.3, 0.6], atol=0.01)
    weighed = make_layer(text, x.shape, phase="TEST")(x)
    torch.testing.assert_close(weighed, torch.full_like(weighed, (1 + 9 + 36) / 10))


def test_stochastic_sends_the_gradient_to_the_sampled_value(make_layer: Callable[..., Layer]) -> None:
    text = 'type: "Pooling" bottom: "x" pooling_param { pool: STOCHASTIC kernel_size: 3 stride: 2 }'
    x = (torch.rand(2, 3, 6, 7) + 0.1).requires_grad_()
    top = make_layer(text, x.shape, phase="TRAIN")(x)
    assert top.shape == (2, 3, 3, 3)
    top.sum().backward()
    assert x.grad is not None
    torch.testing.assert_close((x.grad * x).sum(), top.sum())
    empty = torch.zeros(2, 3, 6, 7)
    assert (make_layer(text, x.shape, phase="TEST")(empty) == 0).all()


@pytest.mark.parametrize(
    ("message", "fields"),
    [
        ("set either kernel_size, or both kernel_h and kernel_w", "pool: MAX"),
        ("set either kernel_size, or both kernel_h and kernel_w", "kernel_h: 2"),
        ("set either kernel_size, or both kernel_h and kernel_w", "kernel_size: 2 kernel_h: 2 kernel_w: 2"),
        ("set either stride, or both stride_h and stride_w", "kernel_size: 2 stride: 2 stride_h: 2 stride_w: 2"),
        ("set either pad, or both pad_h and pad_w", "kernel_size: 2 pad_h: 1"),
        ("the kernel must be at least 1 x 1", "kernel_size: 0"),
        ("stride must be positive", "kernel_size: 2 stride: 0"),
        ("pad 3 x 3 must be smaller than the kernel 3 x 3", "kernel_size: 3 pad: 3"),
        ("STOCHASTIC pooling does not support pad", "pool: STOCHASTIC kernel_size: 3 pad: 1"),
        ("global_pooling uses the size of the bottom", "global_pooling: true kernel_size: 2"),
        ("global_pooling requires pad 0 and stride 1", "global_pooling: true stride: 2"),
        ("kernel 12 x 12 exceeds the bottom 2 x 3 x 7 x 5", "kernel_size: 12"),
    ],
)
def test_errors(message: str, fields: str, rejects: Callable[..., None]) -> None:
    rejects(message, f'type: "Pooling" bottom: "x" pooling_param {{ {fields} }}', (2, 3, 7, 5))


def test_shape_errors(rejects: Callable[..., None]) -> None:
    rejects("must have 4 axes", 'type: "Pooling" bottom: "x" pooling_param { kernel_size: 2 }', (2, 3, 7))
    text = 'type: "Pooling" bottom: "x" pooling_param { pool: AVE kernel_size: 2 }'
    rejects("AVE pooling does not support a second top", text, (2, 3, 7, 5), tops=2)


def test_a_kernel_larger_than_the_image_is_clipped_as_in_caffe(make_layer: Callable[..., Layer]) -> None:
    layer = make_layer('type: "Pooling" bottom: "x" pooling_param { kernel_size: 3 stride: 2 }', (1, 2, 2, 2))
    x = torch.randn(1, 2, 2, 2)
    torch.testing.assert_close(layer(x), x.amax((2, 3), keepdim=True))
