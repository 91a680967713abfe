"""Tests for upgrades of older layouts."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import prototxt_like as pl
from prototxt_like.io.upgrade import v1_type_name
from prototxt_like.schema.caffe_schema_pb2 import V1LayerParameter

# Return values of UpgradeV1LayerType in BVLC/caffe src/caffe/util/upgrade_proto.cpp.
NAMES = [
    "AbsVal",
    "Accuracy",
    "ArgMax",
    "BNLL",
    "Concat",
    "ContrastiveLoss",
    "Convolution",
    "Data",
    "Deconvolution",
    "Dropout",
    "DummyData",
    "EuclideanLoss",
    "Eltwise",
    "Exp",
    "Flatten",
    "HDF5Data",
    "HDF5Output",
    "HingeLoss",
    "Im2col",
    "ImageData",
    "InfogainLoss",
    "InnerProduct",
    "LRN",
    "MemoryData",
    "MultinomialLogisticLoss",
    "MVN",
    "Pooling",
    "Power",
    "ReLU",
    "Sigmoid",
    "SigmoidCrossEntropyLoss",
    "Silence",
    "Softmax",
    "SoftmaxWithLoss",
    "Split",
    "Slice",
    "TanH",
    "WindowData",
    "Threshold",
]

V1 = """
name: "old"
input: "data"
input_dim: 2 input_dim: 3 input_dim: 5 input_dim: 7
layers {
  name: "conv" type: CONVOLUTION bottom: "data" top: "conv"
  blobs_lr: 1 blobs_lr: 2 weight_decay: 1 weight_decay: 0 param: "shared"
  blob_share_mode: PERMISSIVE
  convolution_param { num_output: 4 kernel_size: 3 }
  include { phase: TEST }
}
layers { name: "loss" type: SOFTMAX_LOSS bottom: "conv" bottom: "label" top: "loss" loss_weight: 0.5
  exclude { phase: TEST } }
"""


def test_every_v1_type_has_a_current_name() -> None:
    names = [v1_type_name(number) for number in V1LayerParameter.LayerType.values() if number]
    assert sorted(names) == sorted(NAMES)
    assert v1_type_name(0) == ""


def test_layers_become_layer() -> None:
    net = pl.parse_net(V1)
    assert not net.layers
    assert [layer.type for layer in net.layer] == ["Input", "Convolution", "SoftmaxWithLoss"]
    conv = net.layer[1]
    assert [spec.name for spec in conv.param] == ["shared", ""]
    assert [spec.HasField("share_mode") for spec in conv.param] == [True, False]
    assert [(spec.lr_mult, spec.decay_mult) for spec in conv.param] == [(1, 1), (2, 0)]
    assert conv.include[0].phase == 1
    assert conv.convolution_param.num_output == 4
    assert list(net.layer[2].loss_weight) == [0.5]
    assert list(net.layer[2].bottom) == ["conv", "label"]


def test_input_fields_become_the_first_layer() -> None:
    net = pl.parse_net(V1)
    assert (net.layer[0].name, list(net.layer[0].top)) == ("input", ["data"])
    assert list(net.layer[0].input_param.shape[0].dim) == [2, 3, 5, 7]
    assert not net.input and not net.input_dim


def test_input_shape_with_two_inputs() -> None:
    net = pl.parse_net('input: "a" input: "b" input_shape { dim: 2 } input_shape { dim: 3 dim: 5 }')
    assert [list(shape.dim) for shape in net.layer[0].input_param.shape] == [[2], [3, 5]]


def test_an_input_without_sizes_is_dropped() -> None:
    """As in old caffemodels."""
    assert not pl.parse_net('input: "data"').layer


def test_transform_fields_move_out_of_v1_data_layers() -> None:
    text = (
        'layers { type: DATA top: "d" data_param { source: "s" scale: 0.5 mean_file: "m" crop_size: 7 mirror: true } }'
    )
    layer = pl.parse_net(text).layer[0]
    assert layer.data_param.ListFields()[0][1] == "s"
    assert len(layer.data_param.ListFields()) == 1
    transform = layer.transform_param
    assert (transform.scale, transform.mean_file, transform.crop_size, transform.mirror) == (0.5, "m", 7, True)


def test_transform_fields_of_current_data_layers_stay() -> None:
    """Caffe ignores the fields there, and so do all readers of transform_param."""
    layer = pl.parse_net('layer { type: "Data" top: "d" data_param { scale: 0.5 } }').layer[0]
    assert layer.data_param.scale == 0.5
    assert not layer.HasField("transform_param")


def test_batch_norm_with_three_param_entries_is_frozen() -> None:
    net = pl.parse_net('layer { type: "BatchNorm" param { lr_mult: 1 } param {} param {} }')
    assert [(spec.lr_mult, spec.decay_mult) for spec in net.layer[0].param] == [(0, 0)] * 3


def test_nets_inside_a_solver_are_upgraded_too() -> None:
    solver = pl.parse_solver('net_param { layers { name: "a" type: RELU } } test_net_param { layers { type: TANH } }')
    assert solver.net_param.layer[0].type == "ReLU"
    assert solver.test_net_param[0].layer[0].type == "TanH"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('layer { name: "a" } layers { name: "b" }', "mixes `layer` and the older `layers`"),
        ('layers { layer { name: "a" type: "conv" } }', "layer 0 has the layout of 2013"),
        ('input: "a" input_dim: 1 input_dim: 2', r"found 2, expected 4 for 1 input\(s\)"),
        ('input: "a" input: "b" input_shape { dim: 1 }', r"found 1, expected 2 for 2 input\(s\)"),
        ("input_dim: 1", "but no `input`"),
    ],
)
def test_errors(text: str, message: str) -> None:
    with pytest.raises(pl.FileError, match=f"net.prototxt: .*{message}"):
        pl.parse_net(text, "net.prototxt")


def test_an_old_caffemodel_runs() -> None:
    """Layout of the published VGG_ILSVRC_16_layers: V1 layers, blobs with four sizes, bias as 1 x 1 x 1 x N."""
    text = """
    input: "data" input_dim: 2 input_dim: 3 input_dim: 4 input_dim: 4
    layers { name: "conv" type: CONVOLUTION bottom: "data" top: "conv"
      convolution_param { num_output: 5 kernel_size: 3 } }
    layers { name: "fc" type: INNER_PRODUCT bottom: "conv" top: "fc" inner_product_param { num_output: 7 } }
    """
    generator = np.random.default_rng(1)
    shapes = {"conv": [(5, 3, 3, 3), (5,)], "fc": [(7, 20), (7,)]}
    arrays = {
        name: [generator.standard_normal(shape).astype(np.float32) for shape in pair] for name, pair in shapes.items()
    }
    trained = pl.NetParameter()
    for name, pair in arrays.items():
        layer = trained.layers.add(name=name, type="CONVOLUTION" if name == "conv" else "INNER_PRODUCT")
        layer.blobs.extend(pl.array_to_blob(array, legacy=True) for array in pair)
    assert trained.layers[0].blobs[1].width == 5

    net = pl.Net(pl.parse_net(text), trained)
    data = torch.randn(2, 3, 4, 4)
    conv = torch.nn.functional.conv2d(data, *map(torch.from_numpy, arrays["conv"]))
    expected = torch.nn.functional.linear(conv.flatten(1), *map(torch.from_numpy, arrays["fc"]))
    torch.testing.assert_close(net(data=data)["fc"], expected)
