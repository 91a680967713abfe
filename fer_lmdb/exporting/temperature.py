"""Fold the temperature of the calibration into the last layer's weights, for formats that have no such field."""

from __future__ import annotations

from dataclasses import replace

import prototxt_like as pl
from fer_lmdb.errors import ModelError
from fer_lmdb.models.model import Model

LINEAR = frozenset({"Convolution", "InnerProduct"})
HOMOGENEOUS = frozenset({"Dropout", "Flatten", "Pooling", "Reshape", "Split"})
"""Layers that may lie between the last weights and the softmax: they commute with a positive factor."""


def fold_temperature(model: Model) -> Model:
    """Return a model whose uncalibrated probabilities are the calibrated ones of the given model.

    Raises:
        ModelError: If the net does not end in a Convolution or InnerProduct and a Softmax.
    """
    temperature = model.metadata.temperature
    if temperature == 1:
        return model
    blobs = [f"{_last_linear_layer(model)}/{number}" for number in (0, 1)]
    scaled = {key: model.weights[key].float() / temperature for key in blobs if key in model.weights}
    return replace(model, weights={**model.weights, **scaled}, metadata=model.metadata.with_calibration(None))


def _last_linear_layer(model: Model) -> str:
    """Return the name of the layer whose output, divided by the temperature, gives the calibrated probabilities."""
    layers = list(pl.parse_net(model.deploy_prototxt).layer)
    if layers and layers[-1].type == "Softmax":
        blob = layers[-1].bottom[0]
        for layer in reversed(layers[:-1]):
            if blob not in layer.top:
                continue
            if layer.type in LINEAR and not any(parameter.name for parameter in layer.param):
                return str(layer.name)
            if layer.type not in HOMOGENEOUS:
                break
            blob = layer.bottom[0]
    raise ModelError(
        f"the temperature cannot be folded into {model.name}: its net does not end in a Convolution or InnerProduct "
        "and a Softmax; export it with --uncalibrated"
    )
