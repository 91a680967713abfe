"""Small nets on which prototxt_like differed from Caffe, with the behavior of Caffe."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

import prototxt_like as pl
from tests.prototxt_like.net.test_shared_memory import layer

torch.set_num_threads(1)


def source(**shapes: tuple[int, ...]) -> str:
    return " ".join(
        f'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{ '
        + " ".join(f"dim: {size}" for size in shape)
        + " } } }"
        for name, shape in shapes.items()
    )


@pytest.mark.parametrize(("kind", "expected"), [("Scale", 6.0), ("Bias", 5.0)])
def test_scalars_are_combined(kind: str, expected: float) -> None:
    net = pl.Net(pl.parse_net(source(x=(), s=()) + layer("l", kind, "x s", "y")))
    assert net.shapes["y"] == ()
    assert float(net(x=torch.tensor(2.0), s=torch.tensor(3.0))["y"]) == expected


def test_folding_a_net_whose_loss_has_no_top() -> None:
    text = source(x=(2, 4), y=(2,)) + layer("l", "SoftmaxWithLoss", "x y", "") + layer("p", "Softmax", "x", "p")
    net = pl.Net(pl.parse_net(text.replace('top: ""', "")))
    inputs = {"x": torch.randn(2, 4), "y": torch.tensor([1, 3])}
    folded = pl.fold_batch_norm(net)
    assert set(folded.outputs) == {"l", "p"}
    torch.testing.assert_close(folded(**inputs)["p"], inputs["x"].softmax(1))


class TestKernelBeyondTheBottom:
    """(6 - 7) / 3 rounds toward zero in C, so there is one position; the values behind the bottom are zeros."""

    def test_convolution(self) -> None:
        text = layer("l", "Convolution", "x", "y", "convolution_param { num_output: 2 kernel_size: 7 stride: 3 }")
        net = pl.Net(pl.parse_net(source(x=(2, 4, 6, 5)) + text))
        assert net.shapes["y"] == (2, 2, 1, 1)
        with torch.no_grad():
            net.params["l"][0].normal_()
        x = torch.randn(2, 4, 6, 5, requires_grad=True)
        weight = net.params["l"][0].detach()[:, :, :6, :5]
        top = net(x=x)["y"]
        torch.testing.assert_close(top, F.conv2d(x, weight))
        top.sum().backward()
        torch.testing.assert_close(x.grad, weight.sum(0).expand(2, 4, 6, 5))

    def test_im2col(self) -> None:
        text = layer("l", "Im2col", "x", "y", "convolution_param { kernel_size: 3 stride: 2 }")
        net = pl.Net(pl.parse_net(source(x=(1, 1, 2, 3)) + text))
        top = net(x=torch.arange(1.0, 7.0).reshape(1, 1, 2, 3))["y"]
        assert top.flatten().tolist() == [1, 2, 3, 4, 5, 6, 0, 0, 0]

    def test_a_kernel_that_exceeds_the_bottom_by_the_stride(self) -> None:
        text = layer("l", "Convolution", "x", "y", "convolution_param { num_output: 2 kernel_size: 7 stride: 3 }")
        with pytest.raises(pl.ShapeMismatch, match="the kernel 7 x 7 exceeds the bottom 6 x 4"):
            pl.Net(pl.parse_net(source(x=(2, 4, 6, 4)) + text))


class TestTwoTopsOfALoss:
    """Caffe rejects two tops of SoftmaxWithLoss in any case, and of InfogainLoss without loss_weight."""

    @pytest.mark.parametrize("weights", ["", "loss_weight: 1 loss_weight: 0"])
    def test_softmax_with_loss(self, weights: str) -> None:
        net = pl.parse_net(source(x=(2, 4), y=(2,)) + layer("l", "SoftmaxWithLoss", "x y", "a p", weights))
        assert pl.extensions(net) == ['layer "l": two tops of SoftmaxWithLoss']
        assert not pl.is_pure_caffe(net)
        assert list(pl.Net(net).loss_weights) == ["a"]

    def test_infogain_loss(self) -> None:
        text = source(x=(2, 4), y=(2,), h=(4, 4)) + layer("l", "InfogainLoss", "x y h", "a p", "WEIGHTS")
        assert pl.extensions(pl.parse_net(text.replace("WEIGHTS", ""))) == [
            'layer "l": two tops of InfogainLoss without loss_weight'
        ]
        assert pl.is_pure_caffe(pl.parse_net(text.replace("WEIGHTS", "loss_weight: 1 loss_weight: 0")))


class TestBehindAFilter:
    """The batch size of a Filter's top depends on the data; Caffe checks all layers behind it in every pass."""

    SOURCE = source(x=(2, 3), s=(2,)) + layer("f", "Filter", "x s", "f")

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (layer("e", "Eltwise", "f x", "e"), r'layer "e" \(Eltwise\): .*bottom 0 is 1 x 3, bottom 1 is 2 x 3'),
            (layer("e", "Filter", "f s", "e"), r'layer "e" \(Filter\): bottom 0 is 1 x 3, the selector 2'),
            (
                layer("e", "Scale", "f s", "e", "scale_param { axis: 0 }"),
                r'layer "e" \(Scale\): wrong shape of bottom 1',
            ),
            (layer("e", "Concat", "f x", "e"), r'layer "e" \(Concat\): the bottoms may differ in axis 1 only'),
            (layer("e", "EuclideanLoss", "f x", "e"), r'layer "e" \(EuclideanLoss\)'),
            (layer("e", "SigmoidCrossEntropyLoss", "f x", "e"), r'layer "e" \(SigmoidCrossEntropyLoss\)'),
            (
                layer("e", "Reshape", "f", "e", "reshape_param { shape { dim: 2 dim: 3 } }"),
                r'layer "e" \(Reshape\): the bottom 1 x 3 has 3 values',
            ),
            (layer("a", "ReLU", "f", "a") + layer("e", "Eltwise", "a x", "e"), r'layer "e" \(Eltwise\)'),
        ],
    )
    def test_layers_check_the_shape(self, text: str, message: str) -> None:
        net = pl.Net(pl.parse_net(self.SOURCE + text))
        x = torch.randn(2, 3)
        net(x=x, s=torch.ones(2))
        with pytest.raises(pl.ShapeMismatch, match=message):
            net(x=x, s=torch.tensor([0.0, 1.0]))

    def test_layers_that_fit_run(self) -> None:
        text = self.SOURCE + layer("e", "InnerProduct", "f", "e", "inner_product_param { num_output: 2 }")
        net = pl.Net(pl.parse_net(text))
        for selected in ([0.0, 1.0], [1.0, 1.0], [0.0, 0.0]):
            assert net(x=torch.randn(2, 3), s=torch.tensor(selected))["e"].shape == (int(sum(selected)), 2)


def test_two_layers_with_one_name() -> None:
    """In Caffe, a snapshot holds both, and loading fills the first."""
    text = source(x=(2, 3)) + "".join(
        layer(
            "a", "InnerProduct", bottom, top, 'inner_product_param { num_output: 3 weight_filler { type: "xavier" } }'
        )
        for bottom, top in (("x", "y"), ("y", "z"))
    )
    net = pl.Net(pl.parse_net(text))
    assert 'two layers with parameters are named "a"' in net.notes[0]
    first, second = net.caffe_layers
    saved = pl.to_proto(net)
    assert [pl.blob_to_array(part.blobs[0]).tolist() for part in saved.layer if part.blobs] == [
        first.blobs[0].tolist(),
        second.blobs[0].tolist(),
    ]
    other = pl.Net(pl.parse_net(text), saved)
    assert torch.equal(other.caffe_layers[0].blobs[0], second.blobs[0])  # the last of the file, as in Caffe
    assert not torch.equal(other.caffe_layers[1].blobs[0], second.blobs[0])
