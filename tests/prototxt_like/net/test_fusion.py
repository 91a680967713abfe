"""Tests that fused BatchNorm and Scale give the same values and gradients, and that no blob in use is lost."""

from __future__ import annotations

import pytest
import torch

import prototxt_like as pl
from prototxt_like.net.fusion import FusedBatchNormScale, fuse_batch_norm_scale

NORM = 'layer { name: "norm" type: "BatchNorm" bottom: "data" top: "norm" }'
SCALE = 'layer { name: "scale" type: "Scale" bottom: "norm" top: "scaled" scale_param { bias_term: true } }'
IN_PLACE = 'layer { name: "scale" type: "Scale" bottom: "norm" top: "norm" scale_param { bias_term: true } }'
NO_BIAS = 'layer { name: "scale" type: "Scale" bottom: "norm" top: "scaled" }'
READER = 'layer { name: "reader" type: "Power" bottom: "norm" top: "read" }'
BY_IMAGE = 'layer { name: "scale" type: "Scale" bottom: "norm" top: "scaled" scale_param { axis: 0 num_axes: 2 } }'
GIVEN = 'layer { name: "scale" type: "Scale" bottom: "norm" bottom: "factor" top: "scaled" }'
CUT = 'layer { name: "scale" type: "Scale" bottom: "norm" top: "scaled" propagate_down: false }'
BETWEEN = 'layer { name: "relu" type: "ReLU" bottom: "norm" top: "norm" }'


def build(*layers: str, phase: str = "TRAIN", shape: tuple[int, ...] = (4, 3, 5, 6)) -> pl.Net:
    """Build a net from an input and layers, with weights other than 1 and 0."""
    inputs = "".join(
        f'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{ {dims} }} }} }}'
        for name, dims in (("data", " ".join(f"dim: {size}" for size in shape)), ("factor", "dim: 3"))
        if name == "data" or name in "".join(layers)
    )
    net = pl.Net(pl.parse_net('name: "net" ' + inputs + " ".join(layers)), phase=phase)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for blob in net.parameters():
            blob.uniform_(0.5, 2, generator=generator)
    return net.train(phase == "TRAIN")


def fused_names(net: pl.Net) -> list[str]:
    return [step.fused.scale for step in net._fused_steps if isinstance(step.fused, FusedBatchNormScale)]


@pytest.mark.parametrize("scale", [SCALE, IN_PLACE, NO_BIAS])
@pytest.mark.parametrize("phase", ["TRAIN", "TEST"])
@pytest.mark.parametrize("shape", [(4, 3, 5, 6), (7, 3), (1, 3)])
def test_values_gradients_and_statistics_equal_those_of_two_steps(
    scale: str, phase: str, shape: tuple[int, ...]
) -> None:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(2))
    found = []
    for together in (True, False):
        net = build(NORM, scale, phase=phase, shape=shape)
        if phase == "TEST":
            net.params["norm"][0].copy_(torch.tensor([1.0, 2.0, 3.0]))
            net.params["norm"][1].fill_(4.0)
            net.params["norm"][2].fill_(2.0)
        bottom = x.clone().requires_grad_()
        outputs = net(bottom) if together else net.blobs(bottom)
        top = outputs["norm" if scale is IN_PLACE else "scaled"]
        top.square().mul(torch.arange(top.numel()).reshape(top.shape)).sum().backward()
        assert bottom.grad is not None
        gradients = [blob.grad for blob in net.parameters()]
        assert all(gradient is not None for gradient in gradients)
        found.append([top.detach(), bottom.grad, *gradients, *net.params["norm"]])
    assert fused_names(net) == ["scale"]
    for one, two in zip(*found, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    "layers",
    [
        pytest.param((NORM, SCALE, READER), id="the value between has another reader"),
        pytest.param((NORM, BY_IMAGE), id="a factor for each image"),
        pytest.param((NORM, GIVEN), id="the factor is an input"),
        pytest.param((NORM, CUT), id="no gradient goes through"),
        pytest.param((NORM, BETWEEN, IN_PLACE), id="a layer between"),
        pytest.param((READER.replace("norm", "data"), SCALE.replace('"norm"', '"read"')), id="no BatchNorm"),
    ],
)
def test_other_nets_are_not_fused(layers: tuple[str, ...]) -> None:
    net = build(*layers)
    assert fused_names(net) == []
    assert len(net._fused_steps) == len(layers)


def test_only_one_scale_is_fused() -> None:
    again = 'layer { name: "again" type: "Scale" bottom: "scaled" top: "more" }'
    net = build(NORM, SCALE, again)
    assert fused_names(net) == ["scale"]
    x = torch.randn(4, 3, 5, 6)
    torch.testing.assert_close(net(x)["more"], net.blobs(x)["more"], rtol=1e-4, atol=1e-5)


def test_blobs_returns_the_intermediate_values() -> None:
    blobs = build(NORM, SCALE).blobs(torch.randn(4, 3, 5, 6))
    assert set(blobs) == {"data", "norm", "scaled"}
    torch.testing.assert_close(blobs["norm"].mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)


def test_bfloat16_stays_bfloat16() -> None:
    net = build(NORM, SCALE)
    x = torch.randn(4, 3, 5, 6).bfloat16()
    exact = net(x.float())["scaled"]
    found = net(x)["scaled"]
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), exact, rtol=2**-8, atol=1e-6)


def test_blobs_are_released_as_without_fusion() -> None:
    net = build(NORM, SCALE, 'layer { name: "relu" type: "ReLU" bottom: "scaled" top: "relu" }')
    slots = net._graph.slots
    assert fuse_batch_norm_scale(net._graph.steps, net.layers)[0].free_after == (slots["data"], slots["norm"])  # type: ignore[arg-type]
