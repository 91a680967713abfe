"""Tests of memory that blobs share in Caffe. Expected values are computed with the formulas of Caffe's C++ layers."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import prototxt_like as pl

torch.set_num_threads(1)


def build(text: str, phase: str = "TEST", shape: tuple[int, ...] = (2, 4, 3, 3)) -> pl.Net:
    """Build a net with one input x, and fill its parameters."""
    dims = " ".join(f"dim: {size}" for size in shape)
    net = pl.Net(
        pl.parse_net(f'layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ {dims} }} }} }} {text}'),
        phase=phase,
    )
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return net


def layer(name: str, kind: str, bottom: str, top: str, more: str = "") -> str:
    bottoms = " ".join(f'bottom: "{blob}"' for blob in bottom.split())
    tops = " ".join(f'top: "{blob}"' for blob in top.split())
    return f'layer {{ name: "{name}" type: "{kind}" {bottoms} {tops} {more} }} '


def image(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(2)).requires_grad_()


CONV = "convolution_param { num_output: 3 kernel_size: 3 }"
POINT = "convolution_param { num_output: 2 kernel_size: 1 }"


def test_an_in_place_layer_behind_flatten_changes_the_bottom_of_flatten() -> None:
    net = build(
        layer("c", "Convolution", "x", "c", CONV)
        + layer("f", "Flatten", "c", "f")
        + layer("r", "ReLU", "f", "f")
        + layer("c2", "Convolution", "c", "c2", POINT)
    )
    x = image(2, 4, 3, 3)
    blobs = net.blobs(x=x)
    (w1, b1), (w2, b2) = net.params["c"], net.params["c2"]
    c = F.conv2d(x.detach(), w1, b1).detach()
    relu = c.clamp(min=0)
    torch.testing.assert_close(blobs["f"], relu.flatten(1))
    torch.testing.assert_close(blobs["c"], relu)
    torch.testing.assert_close(blobs["c2"], F.conv2d(relu, w2, b2))
    assert not torch.allclose(relu, c)

    (blobs["f"].sum() + blobs["c2"].sum()).backward()
    # c2 adds its gradient to that of c behind the ReLU; its weights see the overwritten values.
    from_c2 = F.conv_transpose2d(torch.ones(2, 2, 1, 1), w2.detach())
    into_c = (c > 0).float() + from_c2
    torch.testing.assert_close(x.grad, F.conv_transpose2d(into_c, w1.detach()))
    torch.testing.assert_close(w2.grad, relu.sum((0, 2, 3)).expand(2, 3).reshape(2, 3, 1, 1))
    assert 'layer "r" (ReLU) works in place on a blob that shares memory with "c"' in net.notes[0]


@pytest.mark.parametrize(
    "view",
    [
        'type: "Flatten"',
        'type: "Reshape" reshape_param { shape { dim: 0 dim: -1 } }',
        'type: "Split"',
        'type: "Slice"',
        'type: "Concat"',
    ],
)
def test_all_layers_that_share_memory(view: str) -> None:
    net = build(
        f'layer {{ name: "v" {view} bottom: "x" top: "v" }} '
        + layer("t", "TanH", "v", "v")
        + layer("a", "AbsVal", "x", "a")
    )
    x = image(2, 4, 3, 3)
    given = x.detach().clone()
    with torch.no_grad():
        blobs = net.blobs(x=x)
        torch.testing.assert_close(net(x=x)["a"], given.tanh().abs())
    torch.testing.assert_close(blobs["a"], given.tanh().abs())
    torch.testing.assert_close(blobs["x"], given.tanh())
    assert torch.equal(x, given), "the tensor of the caller is not modified"


@pytest.mark.parametrize(("kind", "tops"), [("Slice", "v w"), ("Concat", "v")])
def test_slices_and_concatenations_are_copies(kind: str, tops: str) -> None:
    bottoms = "x x" if kind == "Concat" else "x"
    net = build(layer("v", kind, bottoms, tops) + layer("t", "TanH", "v", "v") + layer("a", "AbsVal", "x", "a"))
    x = image(2, 4, 3, 3)
    torch.testing.assert_close(net(x=x)["a"], x.abs())
    assert not net.notes


def test_a_written_split() -> None:
    net = build(layer("s", "Split", "x", "a b") + layer("r", "ReLU", "a", "a") + layer("t", "TanH", "b", "t"))
    x = image(2, 4, 3, 3)
    tops = net(x=x)
    torch.testing.assert_close(tops["t"], x.clamp(min=0).tanh())
    (tops["a"].sum() + tops["t"].sum()).backward()
    torch.testing.assert_close(x.grad, (x > 0).float() + 1 - x.detach().clamp(min=0).tanh() ** 2)


FACTOR = 'layer { name: "s" type: "Scale" bottom: "y" top: "y" } '
# Derivatives of Caffe's Backward_cpu, from bottom x and final value z of the top's memory.
OVERWRITTEN_TOP = {
    "TanH": ("", lambda x, z: 1 - z * z),
    "Sigmoid": ("", lambda x, z: z * (1 - z)),
    "ELU": ("elu_param { alpha: 0.5 }", lambda x, z: torch.where(x > 0, torch.ones(()), 0.5 + z)),
    "Swish": (
        "swish_param { beta: 2 }",
        lambda x, z: 2 * z + torch.sigmoid(2 * x) * (1 - 2 * z),
    ),
    "Exp": ("exp_param { base: 2 scale: 3 shift: 1 }", lambda x, z: 3 * 0.6931471806 * z),
}


@pytest.mark.parametrize("kind", OVERWRITTEN_TOP)
def test_gradient_from_an_overwritten_top(kind: str) -> None:
    text, derivative = OVERWRITTEN_TOP[kind]
    net = build(layer("t", kind, "x", "y", text) + FACTOR)
    x = image(2, 4, 3, 3)
    z = net(x=x)["y"]
    z.sum().backward()
    factor = net.params["s"][0].detach().reshape(-1, 1, 1)
    torch.testing.assert_close(x.grad, factor * derivative(x.detach(), z.detach()))
    assert "its gradient is computed from values that an in-place layer has overwritten" in net.notes[0]


def test_gradient_of_softmax_from_an_overwritten_top() -> None:
    net = build(layer("t", "Softmax", "x", "y") + FACTOR)
    x = image(2, 4, 3, 3)
    z = net(x=x)["y"]
    z.sum().backward()
    g, z = net.params["s"][0].detach().reshape(1, -1, 1, 1).expand(2, 4, 3, 3), z.detach()
    torch.testing.assert_close(x.grad, (g - (g * z).sum(1, keepdim=True)) * z)


IN_PLACE = {
    "BNLL": ("", lambda y: torch.exp(y) / (torch.exp(y) + 1)),
    "Clip": ("clip_param { min: -0.5 max: 0.5 }", torch.ones_like),
    "ReLU": ("relu_param { negative_slope: -0.3 }", lambda y: torch.where(y > 0, 1.0, -0.3)),
}


@pytest.mark.parametrize("kind", IN_PLACE)
def test_gradient_of_a_layer_that_overwrites_its_own_bottom(kind: str) -> None:
    text, derivative = IN_PLACE[kind]
    net = build(layer("p", "InnerProduct", "x", "y", "inner_product_param { num_output: 3 }"
                      ) + layer("b", kind, "y", "y", text), shape=(2, 4))  # fmt: skip
    x = image(2, 4)
    y = net(x=x)["y"]
    y.sum().backward()
    torch.testing.assert_close(x.grad, derivative(y.detach()) @ net.params["p"][0].detach())


def test_a_relu_before_an_in_place_batch_norm_sees_the_normalized_values() -> None:
    net = build(
        layer("r", "ReLU", "x", "y") + layer("n", "BatchNorm", "y", "y") + layer("s", "Scale", "y", "y"), "TRAIN"
    )
    x = image(2, 4, 3, 3)
    y = net(x=x)["y"]
    weights = torch.arange(72.0).reshape(2, 4, 3, 3)
    (y * weights).sum().backward()
    relu = x.detach().clamp(min=0).requires_grad_()
    normal = F.batch_norm(relu, None, None, net.params["s"][0].detach(), training=True, eps=1e-5)
    (normal * weights).sum().backward()
    torch.testing.assert_close(y.detach(), normal.detach())
    # not in place: the ReLU reads its own bottom, which no layer overwrites
    torch.testing.assert_close(x.grad, relu.grad * (x > 0))

    net = build(
        layer("a", "Power", "x", "y") + layer("r", "ReLU", "y", "y") + layer("n", "BatchNorm", "y", "y"), "TRAIN"
    )
    x = image(2, 4, 3, 3)
    y = net(x=x)["y"]
    (y * weights).sum().backward()
    relu = x.detach().clamp(min=0).requires_grad_()
    (F.batch_norm(relu, None, None, training=True, eps=1e-5) * weights).sum().backward()
    torch.testing.assert_close(x.grad, relu.grad * (y > 0))
    assert not torch.equal(y > 0, x > 0)


@pytest.mark.parametrize("second", ["ReLU", "Dropout"])
def test_layers_that_keep_the_sign_need_no_note(second: str) -> None:
    net = build(layer("a", "Power", "x", "y") + layer("r", "ReLU", "y", "y") + layer("n", second, "y", "y"), "TRAIN")
    assert not net.notes


def test_a_copy_of_the_net_uses_its_own_layers() -> None:
    net = build(layer("t", "TanH", "x", "y") + FACTOR)
    x = image(2, 4, 3, 3)
    copy.deepcopy(net)(x=x)["y"].sum().backward()
    expected = x.grad
    x.grad = None
    net(x=x)["y"].sum().backward()
    torch.testing.assert_close(x.grad, expected)


def test_the_gradient_of_a_parameter_behind_flatten_is_lost() -> None:
    source = 'layer { name: "a" type: "Parameter" top: "p" parameter_param { shape { dim: 2 dim: 3 } } } '
    net = pl.Net(pl.parse_net(source + layer("f", "Flatten", "p", "f")))
    assert not net()["f"].requires_grad
    assert "the parameter receives no gradient; use a Reshape" in net.notes[0]
    for other in (
        layer("f", "Reshape", "p", "f", "reshape_param { shape { dim: 6 } }"),
        layer("f", "Flatten", "p", "f") + layer("b", "AbsVal", "p", "b"),  # behind Caffe's own Split
    ):
        net = pl.Net(pl.parse_net(source + other))
        net()["f"].sum().backward()
        torch.testing.assert_close(net.params["a"][0].grad, torch.ones(2, 3))


class TestLayersThatClearTheirTop:
    """Caffe's Eltwise, Pooling and LRN in place overwrite their own bottom before they read it."""

    SOURCES = layer("p", "Power", "x", "u") + layer("q", "Power", "x", "z", "power_param { scale: 3 }")

    def test_eltwise_sum(self) -> None:
        net = build(self.SOURCES + layer("e", "Eltwise", "u z", "u", "eltwise_param { coeff: 2 coeff: 5 }"))
        x = image(2, 4, 3, 3)
        top = net(x=x)["u"]
        torch.testing.assert_close(top, 15 * x)
        top.sum().backward()
        torch.testing.assert_close(x.grad, torch.full_like(x, 2 + 2 * 5 * 3))  # coeff 0 also scales the gradient of z
        assert "the values of bottom 0 are cleared first" in net.notes[0]

    def test_eltwise_max(self) -> None:
        net = build(self.SOURCES + layer("e", "Eltwise", "u z", "u", "eltwise_param { operation: MAX }"))
        x = image(2, 4, 3, 3)
        top = net(x=x)["u"]
        torch.testing.assert_close(top, 3 * x)
        top.sum().backward()
        torch.testing.assert_close(x.grad, torch.zeros_like(x))

    @pytest.mark.parametrize(("method", "value"), [("MAX", torch.finfo(torch.float32).min), ("AVE", 0.0)])
    def test_pooling(self, method: str, value: float) -> None:
        net = build(
            self.SOURCES + layer("e", "Pooling", "u", "u", f"pooling_param {{ pool: {method} kernel_size: 1 }}")
        )
        assert (net(x=image(2, 4, 3, 3))["u"] == value).all()

    def test_lrn(self) -> None:
        net = build(self.SOURCES + layer("e", "LRN", "u", "u", "lrn_param { local_size: 1 alpha: 0.5 beta: 0.75 }"))
        x = image(2, 4, 3, 3)
        torch.testing.assert_close(net(x=x)["u"], (1 + 0.5 * x * x) ** -1.5)


def test_force_backward_overrides_propagate_down() -> None:
    text = layer("a", "InnerProduct", "x", "u", "inner_product_param { num_output: 3 }") + layer(
        "b", "InnerProduct", "u", "v", "propagate_down: false inner_product_param { num_output: 2 }"
    )
    for force, expected in (("force_backward: true ", True), ("", False)):
        net = build(force + text, shape=(2, 4))
        net(x=image(2, 4))["v"].sum().backward()
        assert (net.params["a"][0].grad is not None) is expected


def test_a_phase_in_the_file_outlasts_train() -> None:
    text = 'layer { name: "a" type: "Dropout" bottom: "x" top: "y" phase: TEST } '
    net = build(text + layer("b", "Dropout", "x", "z"), "TRAIN", shape=(2, 300))
    x = image(2, 300)
    for _ in range(2):
        tops = net(x=x)
        assert torch.equal(tops["y"], x) and not torch.equal(tops["z"], x)
        net.train()
    assert torch.equal(net.eval()(x=x)["z"], x)
