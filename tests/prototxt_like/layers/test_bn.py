from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

import prototxt_like as pl
from prototxt_like.layers import Layer

SHAPE = (4, 3, 5, 2)


def filled(layer: Layer) -> Layer:
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for blob in layer.blobs:
            blob.copy_(torch.rand(blob.shape, generator=generator) + 0.5)
    return layer.double()


def reference(x: Tensor, factor: Tensor, offset: Tensor, mean: Tensor, variance: Tensor, eps: float) -> Tensor:
    return (x - mean) / torch.sqrt(variance + eps) * factor + offset


def batch(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased variance per channel."""
    mean = x.mean((0, 2, 3), keepdim=True)
    return mean, ((x - mean) ** 2).mean((0, 2, 3), keepdim=True)


@pytest.mark.parametrize("phase", ["TRAIN", "TEST"])
def test_segnet_uses_the_batch_in_both_phases(phase: str, make_layer: Callable[..., Layer]) -> None:
    layer = filled(make_layer('type: "BN" bottom: "x" bn_param { scale_filler { value: 1 } }', SHAPE, phase=phase))
    assert [blob.shape for blob in layer.blobs] == [(1, 3, 1, 1)] * 2
    check_batch(layer, eps=1e-9)


def check_batch(layer: Layer, eps: float) -> None:
    """Check values and gradients against Backward_cpu, which both forks share."""
    factor, offset = layer.blobs[:2]
    x = torch.randn(SHAPE, dtype=torch.float64, requires_grad=True)
    top = layer(x)
    mean, variance = batch(x.detach())
    torch.testing.assert_close(top, reference(x, factor, offset, mean, variance, eps))
    upstream = torch.randn_like(top)
    top.backward(upstream)
    normal = (x.detach() - mean) / torch.sqrt(variance + eps)
    scaled = upstream * factor.detach()
    axes = (0, 2, 3)
    expected = scaled - scaled.mean(axes, keepdim=True) - normal * (scaled * normal).mean(axes, keepdim=True)
    torch.testing.assert_close(x.grad, expected / torch.sqrt(variance + eps))
    torch.testing.assert_close(factor.grad, (upstream * normal).sum(axes, keepdim=True))
    torch.testing.assert_close(offset.grad, upstream.sum(axes, keepdim=True))


def test_segnet_in_inference_multiplies_and_adds(make_layer: Callable[..., Layer]) -> None:
    layer = filled(make_layer('type: "BN" bottom: "x" bn_param { bn_mode: INFERENCE }', SHAPE))
    factor, offset = layer.blobs
    x = torch.randn(SHAPE, dtype=torch.float64, requires_grad=True)
    top = layer(x)
    torch.testing.assert_close(top, x * factor + offset)
    upstream = torch.randn_like(top)
    top.backward(upstream)
    torch.testing.assert_close(x.grad, upstream * factor.detach())
    torch.testing.assert_close(factor.grad, (upstream * x.detach()).sum((0, 2, 3), keepdim=True))


def test_pspnet_in_train(make_layer: Callable[..., Layer]) -> None:
    layer = filled(make_layer('type: "BN" bottom: "x" bn_param { momentum: 0.7 eps: 0.01 }', SHAPE, phase="TRAIN"))
    assert [blob.shape for blob in layer.blobs] == [(1, 3, 1, 1)] * 4
    before = [blob.clone() for blob in layer.blobs[2:]]
    torch.manual_seed(1)
    check_batch(layer, eps=0.01)
    torch.manual_seed(1)
    statistics = batch(torch.randn(SHAPE, dtype=torch.float64))
    for old, new, value in zip(before, layer.blobs[2:], statistics, strict=True):
        torch.testing.assert_close(new, 0.7 * old + 0.3 * value)


@pytest.mark.parametrize(("phase", "frozen"), [("TEST", "false"), ("TRAIN", "true")])
def test_pspnet_with_running_statistics(phase: str, frozen: str, make_layer: Callable[..., Layer]) -> None:
    layer = filled(make_layer(f'type: "BN" bottom: "x" bn_param {{ frozen: {frozen} }}', SHAPE, phase=phase))
    before = [blob.clone() for blob in layer.blobs]
    x = torch.randn(SHAPE, dtype=torch.float64, requires_grad=True)
    top = layer(x)
    factor, offset, mean, variance = layer.blobs
    torch.testing.assert_close(top, reference(x, factor, offset, mean, variance, 1e-5))
    top.sum().backward()
    torch.testing.assert_close(x.grad, (factor / torch.sqrt(variance + 1e-5)).detach().expand(SHAPE))
    assert all(torch.equal(old, new) for old, new in zip(before, layer.blobs, strict=True))


def net(fields: str) -> pl.NetParameter:
    source = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 4 dim: 3 dim: 5 dim: 2 } } } '
    return pl.parse_net(source + f'layer {{ name: "bn" type: "BN" bottom: "x" top: "y" {fields} }}')


def test_a_frozen_layer_learns_nothing() -> None:
    built = pl.Net(net("bn_param { frozen: true }"), phase="TRAIN")
    assert [param.lr_mult for param in built.learnable_params] == [0, 0]


@pytest.mark.parametrize("count", [2, 4])
def test_the_weights_decide_if_the_fields_do_not(count: int) -> None:
    trained = pl.NetParameter()
    layer = trained.layer.add(name="bn", type="BN")
    layer.blobs.extend(pl.array_to_blob(np.full((1, 3, 1, 1), value + 1.0)) for value in range(count))
    built = pl.Net(net(""), trained)
    assert len(built.params["bn"]) == count
    assert pl.Net(built.proto).shapes == built.shapes, "the net now shows what it is"
    assert not pl.is_pure_caffe(built)


def test_errors() -> None:
    with pytest.raises(
        pl.NetError, match=r'layer "bn" \(BN\): it is unclear whether .*: found no field of one of them'
    ):
        pl.Net(net(""))
    with pytest.raises(pl.NetError, match="bn_mode is a field of SegNet's BN, eps of PSPNet's; remove one of them"):
        pl.Net(net("bn_param { bn_mode: LEARN eps: 0.1 }"))
