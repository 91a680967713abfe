"""Tests that folded nets compute the same values, and that unsupported layers are not folded."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import prototxt_like as pl

INPUT = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 4 dim: 6 dim: 7 } } }'
CONVOLUTION = (
    'layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" '
    'convolution_param { num_output: 6 kernel_size: 3 group: 2 bias_term: false weight_filler { type: "msra" } } }'
)
WITH_BIAS = CONVOLUTION.replace("bias_term: false", 'bias_filler { type: "uniform" }')
INNER_PRODUCT = (
    'layer { name: "conv" type: "InnerProduct" bottom: "data" top: "conv" '
    'inner_product_param { num_output: 6 weight_filler { type: "xavier" } } }'
)
NORM = 'layer { name: "norm" type: "BatchNorm" bottom: "conv" top: "norm" batch_norm_param { eps: 0.01 } }'
SCALE = 'layer { name: "scale" type: "Scale" bottom: "norm" top: "scaled" scale_param { bias_term: true } }'
NO_SUMMAND = 'layer { name: "scale" type: "Scale" bottom: "norm" top: "scaled" }'
RELU = 'layer { name: "relu" type: "ReLU" bottom: "scaled" top: "scaled" }'
IN_PLACE = [
    layer.replace('"norm" top: "scaled"', '"conv" top: "conv"').replace('"conv" top: "norm"', '"conv" top: "conv"')
    for layer in (NORM, SCALE)
]


def build(*layers: str) -> pl.Net:
    """Build a net with random weights and statistics."""
    net = pl.Net(pl.parse_net(" ".join([INPUT, *layers])))
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for blobs in net.params.values():
            for blob in blobs:
                blob.uniform_(0.5, 2, generator=generator)
    return net.eval()


def types(net: pl.Net) -> list[str]:
    return [layer.type_name for layer in net.caffe_layers]


def assert_same_outputs(net: pl.Net, merged: pl.Net) -> None:
    x = torch.randn(5, 4, 6, 7, generator=torch.Generator().manual_seed(4))
    assert list(merged(x)) == list(net(x))
    for one, two in zip(merged(x).values(), net(x).values(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("linear", [CONVOLUTION, WITH_BIAS, INNER_PRODUCT])
@pytest.mark.parametrize(
    "behind",
    [
        pytest.param([NORM, SCALE, RELU], id="blobs of their own"),
        pytest.param(IN_PLACE, id="in place"),
        pytest.param([NORM, NO_SUMMAND], id="no bias"),
        pytest.param([NORM], id="no Scale"),
    ],
)
def test_the_folded_net_computes_the_same_values(linear: str, behind: list[str]) -> None:
    net = build(linear, *behind)
    before = {name: [blob.clone() for blob in blobs] for name, blobs in net.params.items()}
    merged = pl.fold_batch_norm(net)
    assert not {"BatchNorm", "Scale"} & set(types(merged))
    assert_same_outputs(net, merged)
    for name, blobs in before.items():
        torch.testing.assert_close(net.params[name], blobs, rtol=0, atol=0)


READER = 'layer { name: "reader" type: "Power" bottom: "{}" top: "read" }'
SHARED = CONVOLUTION.replace('top: "conv"', 'top: "conv" param { name: "filters" }')
BY_BATCH = NORM.replace("eps: 0.01", "use_global_stats: false")
IN_TRAIN = NORM.replace('type: "BatchNorm"', 'type: "BatchNorm" phase: TRAIN')
FIRST_NORM = NORM.replace('bottom: "conv"', 'bottom: "data"')
TRANSPOSED = INNER_PRODUCT.replace("num_output: 6", "num_output: 6 transpose: true")


@pytest.mark.parametrize(
    "layers",
    [
        pytest.param([CONVOLUTION, NORM, READER.replace("{}", "conv")], id="the convolution has another reader"),
        pytest.param([SHARED, NORM], id="shared filters"),
        pytest.param([CONVOLUTION, BY_BATCH], id="statistics of the batch"),
        pytest.param([CONVOLUTION, IN_TRAIN], id="phase TRAIN"),
        pytest.param([FIRST_NORM], id="nothing linear before"),
        pytest.param([TRANSPOSED, NORM], id="transposed weights"),
        pytest.param([CONVOLUTION, RELU.replace("scaled", "conv"), NORM], id="a layer between"),
        pytest.param([CONVOLUTION], id="no BatchNorm"),
    ],
)
def test_a_net_that_cannot_be_folded_is_returned_unchanged(layers: list[str]) -> None:
    net = build(*layers)
    assert pl.fold_batch_norm(net) is net


def test_a_scale_is_not_folded_if_the_normalized_value_is_read() -> None:
    net = build(CONVOLUTION, NORM, SCALE, READER.replace("{}", "norm"))
    merged = pl.fold_batch_norm(net)
    assert types(merged) == ["Convolution", "Scale", "Power"]
    assert_same_outputs(net, merged)


def test_empty_statistics_mean_zero() -> None:
    net = build(CONVOLUTION, NORM)
    for blob in net.params["norm"]:
        blob.zero_()
    assert_same_outputs(net, pl.fold_batch_norm(net))


@pytest.mark.parametrize("name", ["face_emotion_net", "fer_conv8", "fer_resnet", "resnet34"])
def test_zoo_nets(name: str) -> None:
    net = pl.Net(pl.zoo.path(name) / "deploy.prototxt").eval()
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for layer in net.caffe_layers:
            if layer.type_name == "BatchNorm":
                for blob in layer.blobs:
                    blob.uniform_(0.5, 1.5, generator=generator)
    merged = pl.fold_batch_norm(net)
    assert "BatchNorm" in types(net) and "BatchNorm" not in types(merged)
    x = torch.randn(2, *net.input_shapes[net.inputs[0]][1:], generator=generator)
    with torch.inference_mode():
        (one,), (two,) = net(x).values(), merged(x).values()
    torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-5)


def test_the_result_can_be_saved_and_loaded(tmp_path: Path) -> None:
    net = build(WITH_BIAS, NORM, SCALE)
    merged = pl.fold_batch_norm(net)
    pl.save_weights(merged, tmp_path / "merged.caffemodel")
    assert_same_outputs(net, pl.Net(tmp_path / "merged.caffemodel"))


def test_a_train_net_is_rejected() -> None:
    net = pl.Net(pl.parse_net(f"{INPUT} {CONVOLUTION} {NORM}"), phase="TRAIN")
    with pytest.raises(pl.NetError, match="found phase TRAIN, expected TEST"):
        pl.fold_batch_norm(net)


def test_layers_keep_their_own_phase() -> None:
    drop = 'layer { name: "drop" type: "Dropout" bottom: "norm" top: "y" phase: TRAIN }'
    net = pl.Net(pl.parse_net(" ".join([INPUT, CONVOLUTION, NORM, drop])))
    assert [layer.training for layer in pl.fold_batch_norm(net).caffe_layers] == [False, True]
    assert [layer.training for layer in pl.fold_batch_norm(net.eval()).caffe_layers] == [False, False]


def test_a_folded_net_keeps_batch_size_and_limits() -> None:
    net = pl.Net(pl.parse_net(" ".join([INPUT, CONVOLUTION, NORM])), max_values=1234)
    merged = pl.fold_batch_norm(net)
    assert merged.max_values == 1234
    assert merged(torch.zeros(3, 4, 6, 7))["norm"].shape == (3, 6, 4, 5)
