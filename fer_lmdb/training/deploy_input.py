"""Input of the deploy net: it takes what the TEST transform makes of the stored images."""

from __future__ import annotations

import logging
from dataclasses import replace

import torch

import prototxt_like as pl
from fer_lmdb.data.dataset import DataSet
from fer_lmdb.errors import RunError
from fer_lmdb.training.recipe import Recipe
from prototxt_like.limits import format_shape

Shape = tuple[int, ...]

log = logging.getLogger(__name__)


def fit_deploy(recipe: Recipe, data: DataSet) -> Recipe:
    """Return the recipe with a deploy net for the crop and the channels of the data set.

    Args:
        recipe: Recipe of the run.
        data: Data set; only its manifest is used.

    Raises:
        RunError: If the deploy net has another input shape, and the trained weights would not fit another one.
    """
    size = int(data.manifest["size"])
    image_shape = data.channels, size, size
    expected = next(iter(_shapes(recipe.net, "TEST", image_shape).values()))[1:]
    deploy = _build(recipe.deploy, "TEST", {})
    inputs = deploy.input_shapes
    if len(inputs) != 1 or (found := next(iter(inputs.values())))[1:] == expected:
        return recipe
    changed = _with_input(recipe.deploy, next(iter(inputs)), expected)
    trained = _parameters(_build(recipe.net, "TRAIN", _shapes(recipe.net, "TRAIN", image_shape)))
    what = f"{recipe.name}: the deploy net takes {format_shape(found[1:])}, the TEST transform gives "
    try:
        fits = _parameters(_build(changed, "TEST", {})).items() <= trained.items()
    except pl.NetError:
        fits = False
    if not fits:
        raise RunError(
            f"{what}{format_shape(expected)}, and the weights do not fit both; set the crop of train_val.prototxt or "
            "the Input layer of deploy.prototxt"
        )
    log.warning("%s%s; the deploy net is built for the latter", what, format_shape(expected))
    return replace(recipe, deploy=changed)


def _shapes(net: pl.NetParameter, phase: str, image_shape: tuple[int, int, int]) -> dict[str, Shape]:
    """Return the shapes of the data layer's tops; without a TEST layer those of TRAIN."""
    try:
        return pl.data_shapes(net, phase, image_shape)
    except pl.NetError:
        return pl.data_shapes(net, "TRAIN", image_shape)


def _build(net: pl.NetParameter, phase: str, shapes: dict[str, Shape]) -> pl.Net:
    """Build a net without memory for its tensors."""
    with torch.device("meta"):
        return pl.Net(net, phase=phase, input_shapes=shapes)


def _parameters(net: pl.Net) -> dict[str, Shape]:
    return {
        f"{layer}/{number}": tuple(blob.shape)
        for layer, blobs in net.params.items()
        for number, blob in enumerate(blobs)
    }


def _with_input(deploy: pl.NetParameter, name: str, shape: Shape) -> pl.NetParameter:
    """Return a copy of a net with another shape of its only input; the batch axis stays."""
    copy = pl.NetParameter()
    copy.CopyFrom(deploy)
    for layer in copy.layer:
        if layer.type == "Input" and name in layer.top:
            for dims in layer.input_param.shape:
                dims.dim[1:] = shape
    return copy
