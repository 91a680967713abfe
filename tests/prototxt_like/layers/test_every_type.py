"""Tests of all layer types, with one small example each."""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from prototxt_like.errors import NetError, UnknownLayerType
from prototxt_like.forks import FORK_LAYERS, ForkLayer
from prototxt_like.layers import Layer, get_layer_class, layer_types, register
from prototxt_like.net.inputs import DATA_TYPES

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Example:
    """Layer and its bottoms; ``whole`` bottoms contain indices or labels below the given bound."""

    text: str
    shapes: tuple[Shape, ...]
    tops: int = 1
    phase: str = "TRAIN"
    whole: tuple[tuple[int, int], ...] = ()
    batch_axis: int | None = 0  # None: fixed batch size
    exact_gradient: bool = True
    compiles: bool = True

    def bottoms(self, dtype: torch.dtype = torch.float32, batch: int | None = None) -> list[Tensor]:
        generator = torch.Generator().manual_seed(5)
        bounds = dict(self.whole)
        made = []
        for index, shape in enumerate(self.shapes):
            sizes = list(shape)
            if batch is not None and self.batch_axis is not None and sizes[self.batch_axis] == self.items:
                sizes[self.batch_axis] = batch
            if index in bounds:
                made.append(torch.randint(0, bounds[index], sizes, generator=generator).to(dtype))
            else:
                made.append(torch.rand(sizes, generator=generator, dtype=torch.float64).to(dtype) + 0.1)
        return made

    @property
    def items(self) -> int:
        return self.shapes[0][self.batch_axis or 0]


IMAGE = (2, 3, 7, 5)
EXAMPLES = {
    "AbsVal": Example("", (IMAGE,)),
    "Accuracy": Example("", ((4, 3), (4,)), whole=((1, 3),), exact_gradient=False),
    "ArgMax": Example("argmax_param { top_k: 2 }", ((4, 3, 5),), exact_gradient=False),
    "BN": Example("bn_param { slope_filler { value: 2 } }", (IMAGE,)),
    "BNLL": Example("", (IMAGE,)),
    "BatchNorm": Example("", (IMAGE,)),
    "BatchReindex": Example("", ((4, 3, 5), (6,)), whole=((1, 4),), batch_axis=None),
    "Bias": Example('bias_param { filler { type: "xavier" } }', (IMAGE,)),
    "Clip": Example("clip_param { min: 0.3 max: 0.8 }", (IMAGE,)),
    "Concat": Example("", (IMAGE, (2, 4, 7, 5))),
    "ContrastiveLoss": Example("", ((4, 3), (4, 3), (4,)), whole=((2, 2),), exact_gradient=False),
    "Convolution": Example("convolution_param { num_output: 4 kernel_size: 3 pad: 1 stride: 2 }", (IMAGE,)),
    "ConvolutionDepthwise": Example("convolution_param { num_output: 6 kernel_size: 3 pad: 1 }", (IMAGE,)),
    "Crop": Example("crop_param { axis: 2 offset: 1 }", (IMAGE, (2, 3, 4, 3))),
    "Deconvolution": Example("convolution_param { num_output: 4 kernel_size: 3 pad: 1 stride: 2 }", (IMAGE,)),
    "DepthwiseConvolution": Example("convolution_param { num_output: 6 kernel_size: 3 }", (IMAGE,)),
    "DetectionOutput": Example(
        "detection_output_param { num_classes: 3 nms_param { nms_threshold: 0.4 } confidence_threshold: 0.6 }",
        ((2, 20), (2, 15), (1, 2, 20)),
        phase="TEST",
        batch_axis=None,
        exact_gradient=False,
        compiles=False,
    ),
    "Dropout": Example("", (IMAGE,), phase="TEST"),
    "DummyData": Example(
        'dummy_data_param { shape { dim: 2 dim: 3 } data_filler { type: "gaussian" } }', (), batch_axis=None
    ),
    "ELU": Example("elu_param { alpha: 0.5 }", (IMAGE,)),
    "Eltwise": Example("eltwise_param { coeff: 0.5 coeff: -1 coeff: 2 }", (IMAGE, IMAGE, IMAGE)),
    "Embed": Example(
        'embed_param { num_output: 4 input_dim: 6 weight_filler { type: "xavier" } }', ((5, 2),), whole=((0, 6),)
    ),
    "EuclideanLoss": Example("", (IMAGE, IMAGE)),
    "Exp": Example("exp_param { base: 2 scale: 0.5 shift: 1 }", (IMAGE,)),
    "Filter": Example("", (IMAGE, (2,)), whole=((1, 2),), compiles=False),
    "Flatten": Example("", (IMAGE,)),
    "GaussianNoise": Example("", (IMAGE,), phase="TEST"),
    "HingeLoss": Example("hinge_loss_param { norm: L2 }", ((4, 3), (4,)), whole=((1, 3),)),
    "Im2col": Example("convolution_param { kernel_size: 3 stride: 2 dilation: 2 pad: 1 }", (IMAGE,)),
    "InfogainLoss": Example("", ((4, 3), (4,), (1, 1, 3, 3)), whole=((1, 3),), exact_gradient=False),
    "InnerProduct": Example("inner_product_param { num_output: 4 }", (IMAGE,)),
    "Interp": Example("interp_param { zoom_factor: 2 pad_beg: -1 }", (IMAGE,)),
    "LRN": Example("lrn_param { local_size: 3 alpha: 0.5 }", (IMAGE,)),
    "LSTM": Example(
        'recurrent_param { num_output: 4 weight_filler { type: "xavier" } }',
        ((6, 2, 3), (6, 2)),
        whole=((1, 2),),
        batch_axis=1,
    ),
    "LSTMUnit": Example("", ((1, 2, 3), (1, 2, 12), (1, 2)), tops=2, whole=((2, 2),), batch_axis=1),
    "Log": Example("log_param { base: 10 shift: 1 }", (IMAGE,)),
    "MVN": Example("mvn_param { across_channels: true }", (IMAGE,)),
    "MultinomialLogisticLoss": Example("", ((4, 3), (4,)), whole=((1, 3),)),
    "Normalize": Example("norm_param { across_spatial: false channel_shared: false }", (IMAGE,)),
    "PReLU": Example("", (IMAGE,)),
    "Parameter": Example("parameter_param { shape { dim: 2 dim: 3 } }", (), batch_axis=None),
    "Permute": Example("permute_param { order: 0 order: 2 order: 3 order: 1 }", (IMAGE,)),
    "Pooling": Example("pooling_param { pool: AVE kernel_size: 3 stride: 2 }", (IMAGE,)),
    "Power": Example("power_param { power: 2 scale: 0.5 shift: 1 }", (IMAGE,)),
    "PriorBox": Example(
        "prior_box_param { min_size: 4 aspect_ratio: 2 }",
        (IMAGE, (2, 3, 30, 20)),
        batch_axis=None,
        exact_gradient=False,
    ),
    "RNN": Example(
        'recurrent_param { num_output: 4 weight_filler { type: "xavier" } }',
        ((6, 2, 3), (6, 2)),
        whole=((1, 2),),
        batch_axis=1,
    ),
    "ROIPooling": Example(
        "roi_pooling_param { pooled_h: 2 pooled_w: 3 }",
        (IMAGE, (4, 5)),
        whole=((1, 2),),
        batch_axis=None,
        compiles=False,
    ),
    "ReLU": Example("relu_param { negative_slope: 0.1 }", (IMAGE,)),
    "ReLU6": Example("", (IMAGE,)),
    "Reduction": Example("reduction_param { operation: SUMSQ axis: 1 }", (IMAGE,)),
    "Reshape": Example("reshape_param { shape { dim: 0 dim: -1 dim: 7 } }", (IMAGE,)),
    "SPP": Example("spp_param { pyramid_height: 2 pool: AVE }", (IMAGE,)),
    "Scale": Example("scale_param { bias_term: true }", (IMAGE,)),
    "Sigmoid": Example("", (IMAGE,)),
    "SigmoidCrossEntropyLoss": Example("", ((4, 3), (4, 3)), whole=((1, 2),)),
    "Silence": Example("", (IMAGE,), tops=0, exact_gradient=False),
    "Slice": Example("slice_param { slice_point: 1 }", (IMAGE,), tops=2),
    "SmoothL1Loss": Example("smooth_l1_loss_param { sigma: 2 }", (IMAGE, IMAGE), whole=((1, 2),)),
    "Softmax": Example("", (IMAGE,)),
    "SoftmaxWithLoss": Example("", ((4, 3), (4,)), whole=((1, 3),)),
    "Split": Example("", (IMAGE,), tops=2),
    "Swish": Example("swish_param { beta: 2 }", (IMAGE,)),
    "TanH": Example("", (IMAGE,)),
    "Threshold": Example("threshold_param { threshold: 0.5 }", (IMAGE,), exact_gradient=False),
    "Tile": Example("tile_param { tiles: 3 }", (IMAGE,)),
    "Upsample": Example("upsample_param { scale: 2 }", (IMAGE,)),
}
UNSUPPORTED = {"HDF5Output", "Python"}
every_type = pytest.mark.parametrize("name", EXAMPLES)


@pytest.fixture
def build(make_layer: Callable[..., Layer]) -> Callable[[str], Layer]:
    def make(name: str) -> Layer:
        example = EXAMPLES[name]
        bottoms = " ".join(f'bottom: "bottom{index}"' for index in range(len(example.shapes)))
        torch.manual_seed(3)
        text = f'type: "{name}" {bottoms} {example.text}'
        return make_layer(text, *example.shapes, phase=example.phase, tops=example.tops)

    return make


def as_tuple(tops: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tops if isinstance(tops, tuple) else (tops,)


def test_every_type_has_an_example() -> None:
    assert set(EXAMPLES) | UNSUPPORTED == set(layer_types())


@every_type
def test_top_shapes_match_the_tops(name: str, build: Callable[[str], Layer]) -> None:
    layer = build(name)
    shapes = [tuple(top.shape) for top in as_tuple(layer(*EXAMPLES[name].bottoms()))]
    if name in ("Filter", "DetectionOutput"):  # the output size depends on the data
        assert [len(shape) for shape in shapes] == [len(shape) for shape in layer.top_shapes]
    else:
        assert shapes == layer.top_shapes


@every_type
def test_another_batch_size(name: str, build: Callable[[str], Layer]) -> None:
    example = EXAMPLES[name]
    if example.batch_axis is None:
        pytest.skip("the layer has a fixed batch size")
    layer = build(name)
    tops = as_tuple(layer(*example.bottoms(batch=example.items + 3)))
    for top, shape in zip(tops, layer.top_shapes, strict=True):
        if len(shape) and name != "Filter":
            assert top.shape[example.batch_axis] == example.items + 3


@every_type
def test_blobs_have_names(name: str, build: Callable[[str], Layer]) -> None:
    layer = build(name)
    assert [blob.shape for blob in layer.blobs] == [getattr(layer, blob).shape for blob in layer.blob_names]
    assert {id(parameter) for parameter in layer.parameters()} <= {id(blob) for blob in layer.blobs}


@pytest.mark.parametrize("name", [name for name, example in EXAMPLES.items() if example.exact_gradient])
def test_gradient(name: str, build: Callable[[str], Layer]) -> None:
    example = EXAMPLES[name]
    layer = build(name).double()
    whole = dict(example.whole)
    bottoms = example.bottoms(torch.float64)
    learned = [bottom.requires_grad_() for index, bottom in enumerate(bottoms) if index not in whole]
    if name in ("EuclideanLoss", "Crop", "SigmoidCrossEntropyLoss"):
        learned = learned[:1]
    parameters = list(layer.parameters())
    if not learned and not parameters:
        assert name == "DummyData"
        return

    def tops(*_: Tensor) -> tuple[Tensor, ...]:
        torch.manual_seed(0)
        if hasattr(layer, "reset"):
            layer.reset()
        return as_tuple(layer(*bottoms))

    assert torch.autograd.gradcheck(tops, (*learned, *parameters), atol=1e-6, fast_mode=True)


@every_type
def test_bfloat16_autocast_is_close(name: str, build: Callable[[str], Layer]) -> None:
    example = EXAMPLES[name]
    exact, rough = build(name), build(name)
    torch.manual_seed(0)
    expected = as_tuple(exact(*example.bottoms()))
    torch.manual_seed(0)
    with torch.autocast("cpu", torch.bfloat16):
        whole = dict(example.whole)
        bottoms = [b if index in whole else b.bfloat16() for index, b in enumerate(example.bottoms())]
        actual = as_tuple(rough(*bottoms))
    if name in ("Accuracy", "ArgMax", "DetectionOutput", "DummyData", "Threshold"):  # rounding may change the result
        return
    for a, e in zip(actual, expected, strict=True):
        torch.testing.assert_close(a.float(), e.float(), rtol=0.05, atol=0.05)
    assert all(blob.dtype == torch.float32 for blob in rough.blobs)


@pytest.mark.parametrize("name", [name for name, example in EXAMPLES.items() if (2, 3, 7, 5) in example.shapes])
def test_channels_last_has_no_effect(name: str, build: Callable[[str], Layer]) -> None:
    example = EXAMPLES[name]
    expected = as_tuple(build(name)(*example.bottoms()))
    bottoms = [b.contiguous(memory_format=torch.channels_last) if b.dim() == 4 else b for b in example.bottoms()]
    actual = as_tuple(build(name)(*bottoms))
    for a, e in zip(actual, expected, strict=True):
        torch.testing.assert_close(a, e, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", [name for name, example in EXAMPLES.items() if example.compiles])
def test_is_one_graph(name: str, build: Callable[[str], Layer]) -> None:
    """torch.compile and torch.export need the forward pass as one graph, without reads of values."""
    example = EXAMPLES[name]
    torch.manual_seed(0)
    expected = as_tuple(build(name)(*example.bottoms()))
    torch.manual_seed(0)
    torch.compiler.reset()
    actual = as_tuple(torch.compile(build(name), backend="eager", fullgraph=True)(*example.bottoms()))
    for a, e in zip(actual, expected, strict=True):
        torch.testing.assert_close(a, e)


@pytest.mark.parametrize("name", [name for name, example in EXAMPLES.items() if example.compiles])
def test_exports_with_any_batch_size(name: str, build: Callable[[str], Layer]) -> None:
    example = EXAMPLES[name]
    layer = build(name)
    fixed = example.batch_axis is None or name in ("LSTM", "RNN")  # states have a fixed batch size
    if fixed:
        exported = torch.export.export(layer, tuple(example.bottoms()))
        bottoms = example.bottoms()
    else:
        bottoms = example.bottoms(batch=7)
        exported = torch.export.export(layer, tuple(example.bottoms(batch=5)), dynamic_shapes=dynamic(example, layer))
    torch.manual_seed(0)
    actual = as_tuple(exported.module()(*bottoms))
    torch.manual_seed(0)
    if hasattr(layer, "reset"):  # the exported module uses the same states
        layer.reset()
    for a, e in zip(actual, as_tuple(layer(*bottoms)), strict=True):
        torch.testing.assert_close(a, e)


def dynamic(example: Example, layer: Layer) -> tuple[object, ...]:
    """Return the batch axes of the bottoms as dynamic shapes for torch.export."""
    batch = torch.export.Dim("batch", min=2, max=64)
    axis = example.batch_axis
    assert axis is not None
    shapes = tuple({axis: batch} if shape[axis : axis + 1] == (example.items,) else None for shape in example.shapes)
    takes_any_number = "bottoms" in inspect.signature(layer.forward).parameters
    return (shapes,) if takes_any_number else shapes


@every_type
def test_can_be_copied(name: str, build: Callable[[str], Layer]) -> None:
    layer = build(name)
    clone = copy.deepcopy(layer)
    for mine, its in zip(layer.blobs, clone.blobs, strict=True):
        assert torch.equal(mine, its)
        assert mine is not its


@every_type
def test_too_many_bottoms_and_tops_are_rejected(name: str, make_layer: Callable[..., Layer]) -> None:
    example = EXAMPLES[name]
    cls = get_layer_class(name)
    text = f'type: "{name}" {example.text}'
    if cls.max_bottoms is not None:
        shapes = [*example.shapes, *[IMAGE] * (cls.max_bottoms + 1 - len(example.shapes))]
        with pytest.raises(
            NetError, match=rf'layer "it" \({name}\): wrong number of bottoms: found {len(shapes)}, expected'
        ):
            make_layer(text, *shapes, tops=example.tops)
    if cls.max_tops is not None:
        with pytest.raises(
            NetError, match=rf'layer "it" \({name}\): wrong number of tops: found {cls.max_tops + 1}, expected'
        ):
            make_layer(text, *example.shapes, tops=cls.max_tops + 1)


@pytest.mark.parametrize("name", sorted(UNSUPPORTED))
def test_types_that_run_code_or_write_files_are_rejected(name: str, make_layer: Callable[..., Layer]) -> None:
    with pytest.raises(NetError, match=f'layer "it" \\({name}\\): .*net files must not'):
        make_layer(f'type: "{name}"', IMAGE)


def test_an_unknown_type_suggests_the_most_similar() -> None:
    with pytest.raises(UnknownLayerType, match='unknown layer type "Convolutoin"; did you mean "Convolution"'):
        get_layer_class("Convolutoin")
    with pytest.raises(UnknownLayerType, match='"RELU"; did you mean "ReLU"'):
        get_layer_class("RELU")
    with pytest.raises(UnknownLayerType, match=r'"ROIAlign.*docs/prototxt.md'):
        get_layer_class("ROIAlignQQQ")
    with pytest.raises(UnknownLayerType, match=r'^layer "l": unknown .*; docs/prototxt.md lists the known types'):
        get_layer_class("HeavilyMaskedConvolution", "l")  # much longer than any similar name


@pytest.mark.parametrize("fork", FORK_LAYERS, ids=lambda fork: fork.type_name)
def test_types_of_forks_are_named_with_the_way_out(fork: ForkLayer) -> None:
    if fork.type_name in DATA_TYPES:
        pytest.skip("a data layer is an input")
    with pytest.raises(UnknownLayerType, match=f"it is a type of {re.escape(fork.fork)}, which is not built; "):
        get_layer_class(fork.type_name)


def test_a_type_is_registered_once() -> None:
    with pytest.raises(ValueError, match="ReLU is registered twice"):
        register("ReLU")(Layer)
