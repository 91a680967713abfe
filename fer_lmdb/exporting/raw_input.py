"""Normalization inside a deploy net, so that it takes the pixels of a cropped face."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

import prototxt_like as pl
from fer_lmdb.errors import ModelError
from fer_lmdb.models.classifier import Classifier
from fer_lmdb.models.model import Model

MEAN, SCALE, STANDARDIZE = "input_mean", "input_scale", "input_standardize"
_EPS = 1e-8


def with_raw_input(model: Model) -> Model:
    """Return a model whose net subtracts the mean and scales; only the crop remains in its transform.

    The mean becomes a Bias layer, the scale a Power layer, and the standardization of each image an MVN layer.

    Raises:
        ModelError: If the transform converts between gray and color, for which Caffe has no layer.
    """
    transform = pl.parse_transform(model.transform_prototxt)
    if transform.force_gray or transform.force_color:
        raise ModelError(f"{model.name} converts between gray and color, for which Caffe has no layer; use onnx")
    net = Classifier(model).net_unfused
    (name,) = net.inputs
    layers, weights, blob = [], dict(model.weights), name
    mean = _mean(model, transform, net.input_shapes[name])
    if mean is not None:  # one Scale layer, because OpenCV has no Bias
        options = f"scale_param {{ axis: 1 num_axes: {mean.ndim} bias_term: true }}"
        layers.append(_layer(MEAN, "Scale", blob, options))
        weights[f"{MEAN}/0"] = torch.full(mean.shape, transform.scale)
        weights[f"{MEAN}/1"] = torch.from_numpy(-mean * np.float32(transform.scale))
        blob = MEAN
    elif transform.scale != 1:
        layers.append(_layer(SCALE, "Power", blob, f"power_param {{ scale: {transform.scale!r} }}"))
        blob = SCALE
    if transform.per_picture_normalization:
        layers.append(_layer(STANDARDIZE, "MVN", blob, f"mvn_param {{ across_channels: true eps: {_EPS} }}"))
        blob = STANDARDIZE
    crop = pl.TransformationParameter()
    for field in ("crop_size", "crop_h", "crop_w"):
        if getattr(transform, field):
            setattr(crop, field, getattr(transform, field))
    return replace(
        model,
        deploy_prototxt=pl.to_text(_insert(net.proto, layers, name, blob)),
        transform_prototxt=pl.to_text(crop),
        weights=weights,
        mean=None,
    )


def _mean(model: Model, transform: pl.TransformationParameter, shape: tuple[int, ...]) -> np.ndarray | None:
    """Return the mean of the center crop: (C, H, W), or (C) if it is a value per channel."""
    _, channels, height, width = shape
    if model.mean is None:
        values = np.array(transform.mean_value, dtype=np.float32)
        return None if not len(values) else np.resize(values, channels)
    top, left = (model.mean.shape[1] - height) // 2, (model.mean.shape[2] - width) // 2
    return np.ascontiguousarray(model.mean[:, top : top + height, left : left + width])


def _layer(name: str, kind: str, bottom: str, options: str) -> pl.LayerParameter:
    text = f'layer {{ name: "{name}" type: "{kind}" bottom: "{bottom}" top: "{name}" {options} }}'
    return pl.parse_net(text).layer[0]


def _insert(net: pl.NetParameter, layers: list[pl.LayerParameter], name: str, blob: str) -> pl.NetParameter:
    """Insert layers behind the input, and let all others read the blob that they compute."""
    result = pl.NetParameter()
    result.CopyFrom(net)
    result.ClearField("layer")
    for layer in net.layer:
        written = result.layer.add()
        written.CopyFrom(layer)
        if name in layer.top and not layer.bottom:
            result.layer.extend(layers)
            continue
        written.bottom[:] = [blob if bottom == name else bottom for bottom in layer.bottom]
        written.top[:] = [blob if top == name else top for top in layer.top]
    return result
