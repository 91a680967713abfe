"""Tests for parameters that several layers share by name."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch

import prototxt_like as pl

INPUT = 'layer { type: "Input" top: "x" input_param { shape { dim: 2 dim: 6 } } } '
X = torch.arange(12.0).reshape(2, 6) / 10


def inner(name: str, param: str, more: str = "num_output: 4", bottom: str = "x") -> str:
    return (
        f'layer {{ name: "{name}" type: "InnerProduct" bottom: "{bottom}" top: "{name}" {param} '
        f'inner_product_param {{ weight_filler {{ type: "xavier" }} {more} }} }} '
    )


def net(layers: str) -> pl.Net:
    return pl.Net(pl.parse_net(INPUT + layers), phase="TRAIN")


def test_the_second_layer_uses_the_parameter_of_the_first() -> None:
    it = net(inner("a", 'param { name: "w" }') + inner("b", 'param { name: "w" }'))
    assert it.params["a"][0] is it.params["b"][0]
    assert it.params["a"][1] is not it.params["b"][1]
    assert [tuple(spec.parameter.shape) for spec in it.learnable_params] == [(4, 6), (4,), (4,)]
    assert sum(1 for _ in it.parameters()) == 3


def test_gradients_are_summed() -> None:
    it = net(inner("a", 'param { name: "w" }') + inner("b", 'param { name: "w" }'))
    outputs = it(x=X)
    (outputs["a"].sum() + 2 * outputs["b"].sum()).backward()
    torch.testing.assert_close(it.params["a"][0].grad, 3 * X.sum(0).expand(4, 6))


def test_permissive_sharing_needs_equal_counts_only() -> None:
    square = "num_output: 4 transpose: true"  # 6 x 4 instead of 4 x 6
    it = net(inner("a", 'param { name: "w" }') + inner("b", 'param { name: "w" share_mode: PERMISSIVE }', square))
    first, second = it.params["a"][0], it.params["b"][0]
    assert second.shape == (6, 4)
    assert second.data_ptr() == first.data_ptr()
    it(x=X)["b"].sum().backward()
    assert first.grad is not None
    other = copy.deepcopy(it)
    with torch.no_grad():
        other.params["a"][0].fill_(7)
    assert (other.params["b"][0] == 7).all()
    assert not (it.params["b"][0] == 7).any()


def test_strict_sharing_needs_equal_shapes() -> None:
    square = "num_output: 4 transpose: true"
    with pytest.raises(pl.ShapeMismatch) as caught:
        net(inner("a", 'param { name: "w" }') + inner("b", 'param { name: "w" }', square))
    assert str(caught.value) == ('layer "b" cannot share param "w" with layer "a": found shape (6, 4), expected (4, 6)')
    with pytest.raises(pl.ShapeMismatch, match="expected the same count as"):
        net(
            inner("a", 'param { name: "w" }')
            + inner("b", 'param { name: "w" share_mode: PERMISSIVE }', "num_output: 5")
        )


def test_multipliers_may_be_set_once_or_equally() -> None:
    it = net(inner("a", 'param { name: "w" lr_mult: 3 }') + inner("b", 'param { name: "w" lr_mult: 3 decay_mult: 5 }'))
    assert it.learnable_params[0][1:] == (3, 5)
    with pytest.raises(pl.NetError, match='shared param "w" has lr_mult 3 and 4'):
        net(inner("a", 'param { name: "w" lr_mult: 3 }') + inner("b", 'param { name: "w" lr_mult: 4 }'))


@pytest.mark.parametrize(("first", "second"), [("lr_mult: 0", ""), ("", "lr_mult: 0")])
def test_either_layer_can_freeze_a_shared_parameter(first: str, second: str) -> None:
    it = net(inner("a", f'param {{ name: "w" {first} }}') + inner("b", f'param {{ name: "w" {second} }}'))
    assert it.learnable_params[0].lr_mult == 0
    assert not it.params["a"][0].requires_grad


def test_shared_statistics_stay_shared_on_another_device() -> None:
    bn = 'layer {{ name: "{0}" type: "BatchNorm" bottom: "x" top: "{0}" {1} }} '
    names = 'param { name: "m" lr_mult: 0 } param { name: "v" lr_mult: 0 } param { name: "s" lr_mult: 0 }'
    it = net(bn.format("a", names) + bn.format("b", names)).to(torch.float64)
    it(x=X.double())
    assert float(it.params["a"][2]) == pytest.approx(1.999)  # both layers added to it
    for first, second in zip(it.params["a"], it.params["b"], strict=True):
        assert first.data_ptr() == second.data_ptr()


def test_saved_weights_contain_the_blob_in_every_layer(tmp_path: Path) -> None:
    """As in files written by Caffe. Loading restores the same net."""
    text = inner("a", 'param { name: "w" }') + inner("b", 'param { name: "w" }')
    it = net(text)
    pl.save_weights(it, tmp_path / "w.caffemodel")
    assert [len(layer.blobs) for layer in pl.read_net(tmp_path / "w.caffemodel").layer] == [0, 2, 2]
    again = net(text)
    report = pl.load_weights(again, tmp_path / "w.caffemodel")
    assert report.loaded == ["a", "b"]
    torch.testing.assert_close(again.params["b"][0], it.params["a"][0])
