"""Tests of nets that run layer by layer: the values and gradients are those of the torch net."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import prototxt_like as pl
from prototxt_like.net.layerwise import LayerwiseNet

torch.set_num_threads(1)

SHAPE = (2, 4, 3, 3)
INPUT = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 4 dim: 3 dim: 3 } } } '


def layer(kind: str, bottom: str, top: str, more: str = "") -> str:
    bottoms = " ".join(f'bottom: "{name}"' for name in bottom.split())
    tops = " ".join(f'top: "{name}"' for name in top.split())
    return f'layer {{ name: "{kind} {top}" type: "{kind}" {bottoms} {tops} {more} }} '


CONV = layer("Convolution", "x", "c", "convolution_param { num_output: 3 kernel_size: 1 }")
POWER = layer("Power", "x", "c", "power_param { scale: -2 shift: 1 }")
FLAT = "reshape_param { shape { dim: 0 dim: -1 } }"
SCALE = layer("Scale", "y", "y")
NETS = {
    "flatten": CONV + layer("Flatten", "c", "f") + layer("ReLU", "f", "f") + layer("AbsVal", "c", "a"),
    "reshape": CONV + layer("Reshape", "c", "f", FLAT) + layer("TanH", "f", "f") + layer("AbsVal", "c", "a"),
    "split": CONV + layer("Split", "c", "f g") + layer("ReLU", "f", "f") + layer("TanH", "g", "a"),
    "slice of one": POWER + layer("Slice", "c", "f") + layer("ELU", "f", "f") + layer("AbsVal", "c", "a"),
    "concat of one": POWER + layer("Concat", "c", "f") + layer("Sigmoid", "f", "f") + layer("AbsVal", "c", "a"),
    "read before": CONV + layer("Flatten", "c", "f") + layer("TanH", "c", "a") + layer("Swish", "f", "f"),
    "input": layer("Flatten", "x", "f") + layer("TanH", "f", "f") + layer("AbsVal", "x", "a"),
    "written top": layer("TanH", "x", "y") + SCALE,
    "written bottom": CONV + layer("BNLL", "c", "c"),
    "written twice": POWER + layer("ReLU", "c", "c") + layer("Power", "c", "c", "power_param { shift: -1 }"),
}  # fmt: skip


@pytest.fixture
def image() -> Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(2))


def build(name: str) -> pl.Net:
    net = pl.Net(pl.parse_net("force_backward: true " + INPUT + NETS[name]))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return net


@pytest.mark.parametrize("name", NETS)
def test_layers_that_overwrite_shared_memory(name: str, image: Tensor) -> None:
    net = build(name)
    x = image.clone().requires_grad_()
    expected = net.blobs(x=x)
    torch.stack([expected[output].sum() for output in net.outputs]).sum().backward()

    layerwise = LayerwiseNet(net)
    for _ in range(2):  # a second pass begins with new inputs
        layerwise.data["x"].copy_(image)
        layerwise.forward()
    for blob, value in expected.items():
        torch.testing.assert_close(layerwise.data[blob], value.detach(), msg=blob)
    for output in net.outputs:
        layerwise.diff[output].fill_(1)
    layerwise.backward()
    torch.testing.assert_close(layerwise.diff["x"], x.grad)
    for parameter in net.parameters():
        torch.testing.assert_close(layerwise.param_diff(parameter), parameter.grad)


def test_the_reader_behind_an_in_place_layer_sees_its_values(image: Tensor) -> None:
    layerwise = LayerwiseNet(build("input"))
    layerwise.data["x"].copy_(image)
    layerwise.forward()
    torch.testing.assert_close(layerwise.data["a"], image.tanh().abs())
    torch.testing.assert_close(layerwise.data["x"], image.tanh())
    layerwise.forward(start=3)
    torch.testing.assert_close(layerwise.data["a"], image.tanh().abs())
