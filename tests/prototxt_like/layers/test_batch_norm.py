from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from prototxt_like.layers import Layer

LAYER = "BatchNorm"


def test_equals_caffe(golden_case: Path, check_golden: Callable[..., None]) -> None:
    check_golden(golden_case)


X = (4, 3, 7, 5)


def test_sums_after_two_batches(make_layer: Callable[..., Layer]) -> None:
    layer = make_layer(
        'type: "BatchNorm" bottom: "x" batch_norm_param { moving_average_fraction: 0.5 }', X, phase="TRAIN"
    )
    first, second = torch.randn(X), torch.randn(X) * 2 + 1
    layer(first)
    layer(second)
    axes = (0, 2, 3)
    torch.testing.assert_close(layer.blobs[0], 0.5 * first.mean(axes) + second.mean(axes))
    torch.testing.assert_close(layer.blobs[1], 0.5 * first.var(axes) + second.var(axes))
    torch.testing.assert_close(layer.blobs[2], torch.tensor([1.5]))


def test_test_phase_divides_the_sums(make_layer: Callable[..., Layer]) -> None:
    layer = make_layer('type: "BatchNorm" bottom: "x"', X)
    for blob, value in zip(layer.blobs, (6.0, 8.0, 2.0), strict=True):
        blob.fill_(value)
    x = torch.randn(X)
    torch.testing.assert_close(layer(x), (x - 3) / (4 + 1e-5) ** 0.5)
    assert layer.blobs[2].item() == 2  # nothing is learned in TEST


def test_train_and_eval_change_the_phase(make_layer: Callable[..., Layer]) -> None:
    layer = make_layer('type: "BatchNorm" bottom: "x"', X, phase="TRAIN")
    layer.eval()(torch.randn(X))
    assert layer.blobs[2].item() == 0
    layer.train()(torch.randn(X))
    assert layer.blobs[2].item() == 1


def test_use_global_stats_false_updates_in_test(make_layer: Callable[..., Layer]) -> None:
    layer = make_layer('type: "BatchNorm" bottom: "x" batch_norm_param { use_global_stats: false }', X)
    x = torch.randn(X) * 3 + 2
    torch.testing.assert_close(layer(x).mean((0, 2, 3)), torch.zeros(3), rtol=0, atol=1e-5)
    assert layer.blobs[2].item() == 1


@pytest.mark.parametrize("shape", [(6, 3), (6, 3, 4), (2, 3, 4, 5, 6)])
def test_any_number_of_axes(shape: tuple[int, ...], make_layer: Callable[..., Layer]) -> None:
    top = make_layer('type: "BatchNorm" bottom: "x"', shape, phase="TRAIN")(torch.randn(shape))
    axes = [axis for axis in range(len(shape)) if axis != 1]
    torch.testing.assert_close(top.mean(axes), torch.zeros(3), rtol=0, atol=1e-5)
    torch.testing.assert_close(top.var(axes, correction=0), torch.ones(3), rtol=1e-3, atol=0)


def test_one_value_per_channel(make_layer: Callable[..., Layer]) -> None:
    layer = make_layer('type: "BatchNorm" bottom: "x"', (1, 3), phase="TRAIN")
    x = torch.tensor([[1.0, 2, 3]], requires_grad=True)
    top = layer(x)
    top.sum().backward()
    assert top.tolist() == [[0, 0, 0]]
    assert x.grad is not None
    assert x.grad.tolist() == [[0, 0, 0]]
    assert layer.blobs[0].tolist() == [1, 2, 3]
    assert layer.blobs[1].tolist() == [0, 0, 0]


def test_statistics_stay_exact_under_autocast(make_layer: Callable[..., Layer]) -> None:
    layer = make_layer('type: "BatchNorm" bottom: "x"', X, phase="TRAIN")
    x = torch.randn(X).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(x).dtype == torch.bfloat16
    assert [blob.dtype for blob in layer.blobs] == [torch.float32] * 3
    torch.testing.assert_close(layer.blobs[0], x.float().mean((0, 2, 3)), rtol=1e-4, atol=1e-5)


def test_statistics_are_saved_and_not_learned(make_layer: Callable[..., Layer]) -> None:
    layer = make_layer('type: "BatchNorm" bottom: "x" param { lr_mult: 0 } param { lr_mult: 0 }', X)
    assert list(layer.parameters()) == []
    assert len(layer.state_dict()) == 3


def test_errors(rejects: Callable[..., None]) -> None:
    rejects("set lr_mult: 0 in every param", 'type: "BatchNorm" bottom: "x" param { lr_mult: 1 }', X)
    rejects("at least 2 axes", 'type: "BatchNorm" bottom: "x"', (5,))


@pytest.mark.parametrize("write", [lambda blob: blob.data.fill_(5), lambda blob: blob.numpy().fill(5)])
def test_statistics_written_as_in_pycaffe_take_effect(
    write: Callable[[torch.Tensor], object], make_layer: Callable[..., Layer]
) -> None:
    layer = make_layer('type: "BatchNorm" bottom: "x"', X)
    for blob in layer.blobs:
        blob.fill_(1)
    assert (layer(torch.ones(X)) == 0).all()
    write(layer.blobs[0])
    torch.testing.assert_close(layer(torch.ones(X)), torch.full(X, -4 / (1 + 1e-5) ** 0.5))
