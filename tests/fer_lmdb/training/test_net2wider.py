"""Widened nets compute the function of the narrow net, up to rounding."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

import prototxt_like as pl
from fer_lmdb.errors import RunError
from fer_lmdb.faces.preprocessing import Preprocessing
from fer_lmdb.labels import FER2013
from fer_lmdb.models.model import Model
from fer_lmdb.models.registry import load_model
from fer_lmdb.training import train
from fer_lmdb.training.init_weights import init_from_model

NET = """
name: "Growing"
input: "data"
input_shape {{ dim: 1 dim: 1 dim: 8 dim: 8 }}
layer {{ name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param {{ num_output: {width} kernel_size: 3 pad: 1 bias_term: false weight_filler {{ type: "msra" }} }} }}
layer {{ name: "bn1" type: "BatchNorm" bottom: "conv1" top: "conv1" }}
layer {{ name: "scale1" type: "Scale" bottom: "conv1" top: "conv1" scale_param {{ bias_term: true }} }}
layer {{ name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }}
layer {{ name: "conv2" type: "Convolution" bottom: "conv1" top: "conv2"
  convolution_param {{ num_output: {width} kernel_size: 3 pad: 1 weight_filler {{ type: "msra" }} }} }}
layer {{ name: "sum" type: "Eltwise" bottom: "conv1" bottom: "conv2" top: "sum" }}
layer {{ name: "pool" type: "Pooling" bottom: "sum" top: "pool" pooling_param {{ kernel_size: 4 stride: 4 }} }}
{extra}
layer {{ name: "fc" type: "InnerProduct" bottom: "pool" top: "fc"
  inner_product_param {{ num_output: 7 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "prob" type: "Softmax" bottom: "fc" top: "prob" }}
"""


def text(width: int, extra: str = "") -> str:
    return NET.format(width=width, extra=extra)


def net(width: int, extra: str = "") -> pl.Net:
    return pl.Net(pl.parse_net(text(width, extra)), phase="TRAIN")


@pytest.fixture
def narrow(tmp_path: Path) -> pl.Net:
    """A net of six channels with statistics, saved as a model in tmp_path."""
    torch.manual_seed(1)
    small = net(6).train()
    for _ in range(3):
        small(torch.randn(32, 1, 8, 8))
    weights = {f"{layer}/{i}": blob for layer, blobs in small.params.items() for i, blob in enumerate(blobs)}
    seen = Preprocessing(detector="none", size=8)
    Model("growing", text(6), "scale: 1", weights, None, FER2013, seen).save(tmp_path / "narrow.safetensors")
    return small.eval()


def widened(tmp_path: Path, width: int = 10) -> pl.Net:
    torch.manual_seed(2)
    large = net(width)
    initial = init_from_model(large, str(tmp_path / "narrow.safetensors"), FER2013, widen=True)
    assert initial.reinitialized == []
    return large


def test_a_wider_net_begins_as_the_narrower_one(narrow: pl.Net, tmp_path: Path) -> None:
    faces = torch.randn(16, 1, 8, 8)
    with torch.inference_mode():
        grown, before = widened(tmp_path).eval()(faces)["prob"], narrow(faces)["prob"]
    torch.testing.assert_close(grown, before, rtol=0, atol=1e-6)


def test_new_channels_learn_and_are_listened_to(narrow: pl.Net, tmp_path: Path) -> None:
    large = widened(tmp_path).train()
    scores = large.forward(data=torch.randn(32, 1, 8, 8))["prob"]
    torch.nn.functional.nll_loss(scores.log(), torch.arange(32) % 7).backward()
    from_new_channels = large.params["conv2"][0].grad[:6, 6:]  # what old channels hear from new ones
    assert from_new_channels.abs().min() > 0
    assert large.params["fc"][0].grad[:, 24:].abs().min() > 0
    assert large.params["conv1"][0][6:].abs().min() > 0  # as filled


def test_channels_without_statistics_have_a_variance_of_one(narrow: pl.Net, tmp_path: Path) -> None:
    mean, variance, factor = widened(tmp_path).params["bn1"]
    torch.testing.assert_close(variance[6:] / factor, torch.ones(4))
    torch.testing.assert_close(mean[6:], torch.zeros(4))
    torch.testing.assert_close(variance[:6], narrow.params["bn1"][1])


def test_without_widen_layers_of_another_width_are_filled(narrow: pl.Net, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="none of its layers"):
        init_from_model(net(10), str(tmp_path / "narrow.safetensors"), FER2013)


def test_a_net_does_not_become_narrower(narrow: pl.Net, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="none of its layers"):
        init_from_model(net(4), str(tmp_path / "narrow.safetensors"), FER2013, widen=True)


GROUPED = """
layer { name: "odd" type: "Convolution" bottom: "pool" top: "odd"
  convolution_param { num_output: 10 kernel_size: 1 group: 2 weight_filler { type: "msra" } } }
"""
TRANSPOSED = """
layer { name: "odd" type: "InnerProduct" bottom: "pool" top: "odd"
  inner_product_param { num_output: 10 transpose: true weight_filler { type: "msra" } } }
"""
CONCAT = 'layer { name: "odd" type: "Concat" bottom: "pool" bottom: "pool" top: "odd" }'
LRN = 'layer { name: "odd" type: "LRN" bottom: "pool" top: "odd" }'


@pytest.mark.parametrize(
    ("layer", "kind"),
    [
        (GROUPED, "Convolution in groups"),
        (TRANSPOSED, "InnerProduct, transposed"),
        (CONCAT, "Concat"),
        (LRN, "LRN"),
    ],
)
def test_nets_that_mix_channels_are_rejected(narrow: pl.Net, tmp_path: Path, layer: str, kind: str) -> None:
    with pytest.raises(RunError, match=rf"--widen: layer odd \({kind}\)"):
        init_from_model(net(10, layer), str(tmp_path / "narrow.safetensors"), FER2013, widen=True)


def test_an_inner_product_of_another_spatial_size_is_rejected(narrow: pl.Net, tmp_path: Path) -> None:
    """Six channels of four values would be assigned to the first of nine values each."""
    larger = pl.Net(pl.parse_net(text(6).replace("dim: 8 dim: 8", "dim: 12 dim: 12")), phase="TRAIN")
    with pytest.raises(RunError, match=r"layer fc reads 3 x 3 feature maps, but 2 x 2 in the model; use .* crop_size"):
        init_from_model(larger, str(tmp_path / "narrow.safetensors"), FER2013, widen=True)


def test_a_caffemodel_is_not_widened(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"narrow\.caffemodel --widen"):
        init_from_model(net(10), str(tmp_path / "narrow.caffemodel"), FER2013, widen=True)


def test_train_widens(options, trained, tmp_path: Path) -> None:
    """The run starts with the function of the narrow net."""
    folder = tmp_path / "wider"
    folder.mkdir()
    for file in Path(options.model).glob("*.prototxt"):
        text = file.read_text()
        (folder / file.name).write_text(text.replace("num_output: 32\n", "num_output: 40\n").replace("512", "640"))
    wide = replace(options, model=str(folder), epochs=1, base_lr=1e-6, init=str(trained.run.path), widen=True)
    result = train.train(wide, tmp_path / "run")
    assert result.init_report.reinitialized == []
    assert result.best["val_accuracy"] == pytest.approx(trained.best["val_accuracy"], abs=0.05)
    assert load_model(result.run.path).parameters > load_model(trained.run.path).parameters


@pytest.mark.parametrize("option", ["widen", "reset_classifier"])
def test_options_of_init_require_init(options, tmp_path: Path, option: str) -> None:
    with pytest.raises(RunError, match=rf"--{option.replace('_', '-')} .* add --init MODEL"):
        train.train(replace(options, **{option: True}), tmp_path / "run")
