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
        ('layers { layer { name: "a" type: "relu" } } layers { name: "b" type: RELU }', "layer 1 has another layout"),
        (
            'layers { name: "b" type: RELU } layers { layer { name: "a" type: "relu" } }',
            "layer 1 has the layout of 2013",
        ),
        (
            'layers { layer { name: "a" type: "cnv" } }',
            'unknown type of 2013: found "cnv", expected one of',
        ),
        ('layers { layer { name: "a" type: "relu" pad: 1 } }', r'layer "a" \(relu\) does not support pad'),
        ("layer { pooling_param { ceil_mode: true round_mode: CEIL } }", "both round_mode and ceil_mode"),
        ('input: "a" input_dim: 1 input_dim: 2', r"found 2, expected 4 for 1 input\(s\)"),
        ('input: "a" input: "b" input_shape { dim: 1 }', r"found 1, expected 2 for 2 input\(s\)"),
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


V0 = """
name: "v0"
layers { layer { name: "mnist" type: "data" source: "db" meanfile: "mean" batchsize: 3 scale: 0.5 cropsize: 9
    mirror: true rand_skip: 2 } top: "data" top: "label" }
layers { layer { name: "pad1" type: "padding" pad: 2 } bottom: "data" top: "pad1" }
layers { layer { name: "c" type: "conv" num_output: 4 kernelsize: 3 stride: 2 group: 1 biasterm: false
    weight_filler { type: "xavier" } blobs_lr: 1 blobs_lr: 2 weight_decay: 1 weight_decay: 0 } bottom: "pad1" top: "c" }
layers { layer { name: "r" type: "relu" } bottom: "c" top: "c" }
layers { layer { name: "p" type: "pool" pool: AVE kernelsize: 2 stride: 1 pad: 1 } bottom: "c" top: "p" }
layers { layer { name: "n" type: "lrn" local_size: 3 alpha: 0.1 beta: 0.5 k: 2 } bottom: "p" top: "n" }
layers { layer { name: "d" type: "dropout" dropout_ratio: 0.3 } bottom: "n" top: "n" }
layers { layer { name: "f" type: "innerproduct" num_output: 5 bias_filler { value: 1 } } bottom: "n" top: "f" }
layers { layer { name: "l" type: "softmax_loss" } bottom: "f" bottom: "label" }
"""


def test_a_net_of_2013() -> None:
    """Expected values by UpgradeV0Net and UpgradeV1Net of BVLC/caffe src/caffe/util/upgrade_proto.cpp."""
    net = pl.parse_net(V0)
    expected = pl.parse_net("""
    name: "v0"
    layer { name: "mnist" type: "Data" top: "data" top: "label" data_param { source: "db" batch_size: 3 rand_skip: 2 }
        transform_param { scale: 0.5 mean_file: "mean" crop_size: 9 mirror: true } }
    layer { name: "c" type: "Convolution" bottom: "data" top: "c" param { lr_mult: 1 decay_mult: 1 }
        param { lr_mult: 2 decay_mult: 0 } convolution_param { num_output: 4 bias_term: false pad: 2 kernel_size: 3
        group: 1 stride: 2 weight_filler { type: "xavier" } } }
    layer { name: "r" type: "ReLU" bottom: "c" top: "c" }
    layer { name: "p" type: "Pooling" bottom: "c" top: "p" pooling_param { pool: AVE kernel_size: 2 stride: 1 pad: 1 } }
    layer { name: "n" type: "LRN" bottom: "p" top: "n" lrn_param { local_size: 3 alpha: 0.1 beta: 0.5 k: 2 } }
    layer { name: "d" type: "Dropout" bottom: "n" top: "n" dropout_param { dropout_ratio: 0.3 } }
    layer { name: "f" type: "InnerProduct" bottom: "n" top: "f" inner_product_param { num_output: 5
        bias_filler { value: 1 } } }
    layer { name: "l" type: "SoftmaxWithLoss" bottom: "f" bottom: "label" }
    """)
    assert pl.to_text(net) == pl.to_text(expected)


def test_a_caffemodel_of_2013_runs() -> None:
    text = """input: "x" input_dim: 1 input_dim: 1 input_dim: 6 input_dim: 6
    layers { layer { name: "c" type: "conv" num_output: 2 kernelsize: 3 } bottom: "x" top: "c" }"""
    trained = pl.NetParameter()
    part = trained.layers.add(bottom=["x"], top=["c"]).layer
    part.name, part.type = "c", "conv"
    weight, bias = torch.randn(2, 1, 3, 3), torch.randn(2)
    part.blobs.extend([pl.array_to_blob(weight.numpy(), legacy=True), pl.array_to_blob(bias.numpy(), legacy=True)])
    net = pl.Net(pl.parse_net(text), trained)
    x = torch.randn(1, 1, 6, 6)
    torch.testing.assert_close(net(x=x)["c"], torch.nn.functional.conv2d(x, weight, bias))


def test_padding_before_another_layer_is_an_error() -> None:
    text = 'layers { layer { name: "a" type: "padding" pad: 2 } bottom: "x" top: "a" } '
    with pytest.raises(pl.FileError, match=r'layer "b" \(relu\) reads padding layer "a"; only conv and pool'):
        pl.parse_net(text + 'layers { layer { name: "b" type: "relu" } bottom: "a" top: "b" }')


def test_sizes_without_an_input_are_ignored_as_in_caffe() -> None:
    relu = 'layer { name: "r" type: "ReLU" bottom: "data" top: "y" }'
    net = pl.Net(pl.parse_net('input: "data" input_dim: 1 input_dim: 3 input_dim: 4 input_dim: 4 input_dim: 1 ' + relu))
    assert net.input_shapes == {"data": (1, 3, 4, 4)}
    source = 'layer { name: "i" type: "Input" top: "data" input_param { shape { dim: 1 dim: 2 } } } '
    net = pl.Net(pl.parse_net("input_dim: 1 input_dim: 3 input_dim: 4 input_dim: 4 " + source + relu))
    assert net.input_shapes == {"data": (1, 2)}


@pytest.mark.parametrize(("written", "round_mode", "size"), [("false", 1, 2), ("true", 0, 3)])
def test_ceil_mode_of_other_forks(written: str, round_mode: int, size: int) -> None:
    net = pl.parse_net(
        'layer { name: "d" type: "Input" top: "d" input_param { shape { dim: 1 dim: 1 dim: 6 dim: 6 } } } '
        f'layer {{ name: "p" type: "Pooling" bottom: "d" top: "p" '
        f"pooling_param {{ kernel_size: 3 stride: 2 ceil_mode: {written} }} }}"
    )
    assert net.layer[1].pooling_param.round_mode == round_mode
    assert not net.layer[1].pooling_param.HasField("ceil_mode")
    assert pl.is_pure_caffe(net)
    assert pl.Net(net).shapes["p"] == (1, 1, size, size)
