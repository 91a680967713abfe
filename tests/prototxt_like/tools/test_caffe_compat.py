"""Tests for the detection and removal of extensions."""

from __future__ import annotations

import pytest
import torch

import prototxt_like as pl
from prototxt_like.layers import get_layer_class, layer_types
from prototxt_like.tools.caffe_compat import EXTENSION_TYPES

NOISY = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "noise" type: "GaussianNoise" bottom: "data" top: "noisy" }
layer { name: "more" type: "GaussianNoise" bottom: "noisy" top: "noisier" gaussian_noise_param { std: 2 } }
layer { name: "ip" type: "InnerProduct" bottom: "noisier" top: "ip" inner_product_param { num_output: 4 }
        include { phase: TEST } }
layer { name: "again" type: "GaussianNoise" bottom: "ip" top: "ip" }
layer { name: "tanh" type: "TanH" bottom: "ip" top: "tanh" phase: TEST }
"""


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('layer { type: "ReLU" relu_param { negative_slope: 0.3 } }', []),
        ('layer { type: "Permute" permute_param { order: 1 } }', []),
        ('layer { name: "n" type: "GaussianNoise" }', ['layer "n": type GaussianNoise']),
        (
            'layer { name: "d" type: "Data" transform_param { crop_size: 3 rotation: 10 shift: 0 } }',
            ['layer "d": rotation in TransformationParameter', 'layer "d": shift in TransformationParameter'],
        ),
        ('layer { name: "l" loss_param { soft_label: true } }', ['layer "l": soft_label in LossParameter']),
    ],
)
def test_nets(text: str, found: list[str]) -> None:
    message = pl.parse_net(text)
    assert pl.extensions(message) == found
    assert pl.is_pure_caffe(message) is not bool(found)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('base_lr: 0.1 lr_policy: "poly"', []),
        ("", []),
        ('type: "Nesterov"', []),
        ('type: "AdamW"', ['type "AdamW"']),
        ('lr_policy: "cosine" ema_decay: 0.9', ['lr_policy "cosine"', "ema_decay in SolverParameter"]),
        ('net_param { layer { name: "n" type: "GaussianNoise" } }', ['layer "n": type GaussianNoise']),
    ],
)
def test_solvers(text: str, found: list[str]) -> None:
    assert pl.extensions(pl.parse_solver(text)) == found


def test_a_built_net() -> None:
    assert not pl.is_pure_caffe(pl.Net(pl.parse_net(NOISY)))


def test_extension_types_match_the_registry() -> None:
    extension_types = {name for name in layer_types() if "extension" in get_layer_class(name).origin}
    assert extension_types == EXTENSION_TYPES


def test_extension_layers_are_removed() -> None:
    net = pl.Net(pl.parse_net(NOISY))
    pure = pl.strip_extensions(net.proto)
    assert pl.is_pure_caffe(pure)
    assert [layer.name for layer in pure.layer] == ["data", "ip", "tanh"]
    assert pure.layer[1].bottom == ["data"]
    assert not pure.layer[1].include and not pure.layer[2].HasField("phase") and not pure.HasField("state")
    again = pl.Net(pure, pl.to_proto(net))
    x = torch.randn(2, 3)
    torch.testing.assert_close(again(data=x)["tanh"], net(data=x)["tanh"])
