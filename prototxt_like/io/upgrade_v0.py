"""Upgrade nets of 2013, whose layers are inside `layers { layer { ... } }`, to the layout of 2014.

Source: BVLC/caffe src/caffe/util/upgrade_proto.cpp, UpgradeV0Net
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prototxt_like.errors import FileError
from prototxt_like.schema.caffe_schema_pb2 import NetParameter, V0LayerParameter, V1LayerParameter

_SAME_NAMES = (
    "accuracy bnll concat data dropout euclidean_loss flatten hdf5_data hdf5_output im2col infogain_loss lrn "
    "multinomial_logistic_loss relu sigmoid softmax softmax_loss split tanh window_data"
)
_TYPES = {
    **{name: name.upper() for name in _SAME_NAMES.split(" ")},
    "conv": "CONVOLUTION",
    "images": "IMAGE_DATA",
    "innerproduct": "INNER_PRODUCT",
    "pool": "POOLING",
}
_LINEAR = ("conv", "innerproduct")
_WINDOWS = ("conv", "pool")
_SOURCES = ("data", "hdf5_data", "images", "infogain_loss", "window_data")
_BATCHES = ("data", "hdf5_data", "images", "window_data")
_MESSAGES = {
    "concat": "concat_param",
    "conv": "convolution_param",
    "data": "data_param",
    "dropout": "dropout_param",
    "hdf5_data": "hdf5_data_param",
    "images": "image_data_param",
    "infogain_loss": "infogain_loss_param",
    "innerproduct": "inner_product_param",
    "lrn": "lrn_param",
    "pool": "pooling_param",
    "window_data": "window_data_param",
}
# Old field -> (types that read it, its current name in their message).
_FIELDS: dict[str, tuple[Sequence[str], str]] = {
    "num_output": (_LINEAR, "num_output"),
    "biasterm": (_LINEAR, "bias_term"),
    "weight_filler": (_LINEAR, "weight_filler"),
    "bias_filler": (_LINEAR, "bias_filler"),
    "pad": (_WINDOWS, "pad"),
    "kernelsize": (_WINDOWS, "kernel_size"),
    "stride": (_WINDOWS, "stride"),
    "group": (("conv",), "group"),
    "pool": (("pool",), "pool"),
    "dropout_ratio": (("dropout",), "dropout_ratio"),
    "local_size": (("lrn",), "local_size"),
    "alpha": (("lrn",), "alpha"),
    "beta": (("lrn",), "beta"),
    "k": (("lrn",), "k"),
    "source": (_SOURCES, "source"),
    "batchsize": (_BATCHES, "batch_size"),
    "rand_skip": (("data", "images"), "rand_skip"),
    "shuffle_images": (("images",), "shuffle"),
    "new_height": (("images",), "new_height"),
    "new_width": (("images",), "new_width"),
    "concat_dim": (("concat",), "concat_dim"),
    "det_fg_threshold": (("window_data",), "fg_threshold"),
    "det_bg_threshold": (("window_data",), "bg_threshold"),
    "det_fg_fraction": (("window_data",), "fg_fraction"),
    "det_context_pad": (("window_data",), "context_pad"),
    "det_crop_mode": (("window_data",), "crop_mode"),
}
_TRANSFORMS = {"scale": "scale", "meanfile": "mean_file", "cropsize": "crop_size", "mirror": "mirror"}
_KEPT = ("blobs", "blobs_lr", "weight_decay", "hdf5_output_param")


def upgrade_v0(net: NetParameter) -> None:
    """Replace all layers of the layout of 2013 by layers of the layout of 2014, in place.

    Padding layers become the ``pad`` of the convolution or pooling behind them.

    Raises:
        FileError: If a type or the position of a padding layer is unknown.
    """
    paddings: dict[str, V1LayerParameter] = {}  # by top
    upgraded = NetParameter()
    for index, old in enumerate(net.layers):
        if not old.HasField("layer"):
            raise FileError(f"layer {index} has another layout than the first (of 2013); write all of them alike")
        if old.layer.type == "padding":
            paddings[old.top[0]] = old
        else:
            _upgrade_layer(old, upgraded.layers.add(), paddings)
            for top in old.top:
                paddings.pop(top, None)
    net.ClearField("layers")
    net.layers.extend(upgraded.layers)


def _upgrade_layer(old: V1LayerParameter, new: V1LayerParameter, paddings: dict[str, V1LayerParameter]) -> None:
    options = old.layer
    if options.type not in _TYPES:
        raise FileError(f'layer "{options.name}": unknown type of 2013: found "{options.type}", expected {_expected()}')
    new.name = options.name
    _set(new, "type", V1LayerParameter.LayerType.Value(_TYPES[options.type]))
    new.bottom.extend(old.bottom)
    new.top.extend(old.top)
    for field, value in options.ListFields():
        if field.name in _KEPT:
            _set(new, field.name, value)
        elif field.name in _TRANSFORMS:
            setattr(new.transform_param, _TRANSFORMS[field.name], value)
        elif field.name in _FIELDS:
            types, name = _FIELDS[field.name]
            if options.type not in types:
                raise FileError(f'layer "{options.name}" ({options.type}) does not support {field.name}; remove it')
            _set(getattr(new, _MESSAGES[options.type]), name, value)
    for position, bottom in enumerate(old.bottom):
        if bottom in paddings:
            _apply_padding(options, new, position, paddings[bottom])


def _apply_padding(options: V0LayerParameter, new: V1LayerParameter, position: int, padding: V1LayerParameter) -> None:
    if options.type not in _WINDOWS:
        raise FileError(
            f'layer "{options.name}" ({options.type}) reads padding layer "{padding.layer.name}"; '
            "only conv and pool support padding"
        )
    _set(getattr(new, _MESSAGES[options.type]), "pad", padding.layer.pad)
    new.bottom[position] = padding.bottom[0]


def _set(message: Any, name: str, value: Any) -> None:
    field = getattr(message, name)
    if hasattr(field, "extend"):
        field.extend(value if hasattr(value, "extend") else [value])
    elif hasattr(field, "CopyFrom"):
        field.CopyFrom(value)
    else:
        setattr(message, name, value)


def _expected() -> str:
    return "one of " + ", ".join([*sorted(_TYPES), "padding"])
