"""A wider net begins as the narrower one that it grew out of.

The narrower net's blobs take the first channels of the wider net's. What these channels read from the new ones begins
at 0, so that at first they compute what they always did; the new channels keep their filling, and have an influence
as soon as the training moves the zeros.
Source: the idea of function-preserving growth is Chen et al., Net2Net (arXiv 1511.05641), which doubles channels
    instead; zeros need no noise to tell twins apart.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

import prototxt_like as pl
from fer_lmdb.errors import RunError

DATA = {"Data", "HDF5Data", "ImageData", "Input", "MemoryData"}
NEURONS = {
    "AbsVal",
    "BNLL",
    "Clip",
    "ELU",
    "Exp",
    "Log",
    "PReLU",
    "Power",
    "ReLU",
    "Sigmoid",
    "Swish",
    "TanH",
    "Threshold",
}
PER_CHANNEL = {"BatchNorm", "Bias", "Dropout", "Eltwise", "Pooling", "Scale", "Silence", "Split"}
SCORES = {"Accuracy", "Softmax", "SoftmaxWithLoss"}
KEEPS_CHANNELS = DATA | NEURONS | PER_CHANNEL | SCORES
"""Layers that leave each channel in its place and to itself."""


def validate_widening(net: pl.Net) -> None:
    """Refuse nets in which more channels would change what the first ones compute.

    Raises:
        RunError: a layer that moves or mixes channels, other than convolutions and inner products.
    """
    for layer in net.proto.layer:
        plain = {
            "Convolution": layer.convolution_param.group == 1,
            "InnerProduct": not layer.inner_product_param.transpose,
        }
        if not plain.get(layer.type, layer.type in KEEPS_CHANNELS):
            kind = layer.type + {"Convolution": " in groups", "InnerProduct": ", transposed"}.get(layer.type, "")
            raise RunError(
                f"--widen: in layer {layer.name} ({kind}) more channels would change what the first ones compute; "
                "leave --widen out, or take a net without such layers"
            )


def check_spatial_sizes(narrow: pl.Net, wide: pl.Net) -> None:
    """Refuse inner products that would take one channel's places for another's: both nets have to have as many.

    Raises:
        RunError: an inner product over maps of different sizes.
    """
    known = _places(narrow)
    for layer, own in _places(wide).items():
        if known.get(layer, own) != own:
            raise RunError(
                f"--widen: layer {layer} reads maps of {_size(own)}, and of {_size(known[layer])} in the model; "
                "take a net with the model's crop_size"
            )


def _places(net: pl.Net) -> dict[str, tuple[int, ...]]:
    """Return height and width of what each inner product reads."""
    inner = [layer for layer in net.proto.layer if layer.type == "InnerProduct"]
    return {layer.name: net.shapes[layer.bottom[0]][2:] for layer in inner}


def _size(places: Sequence[int]) -> str:
    return " x ".join(map(str, places)) or "1"


def is_widened(narrow: Sequence[torch.Tensor], wide: Sequence[torch.Tensor]) -> bool:
    """Whether a layer's blobs can be the first channels of another's: (out, in, height, width), (out, in) or (out,)."""
    return len(narrow) == len(wide) and all(
        small.ndim == large.ndim
        and small.shape[2:] == large.shape[2:]
        and all(a <= b for a, b in zip(small.shape, large.shape, strict=True))
        for small, large in zip(narrow, wide, strict=True)
    )


@torch.no_grad()
def widen(layer_type: str, narrow: Sequence[torch.Tensor], wide: Sequence[torch.Tensor]) -> None:
    """Write a narrower layer's blobs into the first channels of a wider one, in place; `is_widened` has said yes."""
    for small, large in zip(narrow, wide, strict=True):
        outputs = small.shape[0]
        if small.ndim == 1:
            large[:outputs] = small
        else:
            large[:outputs] = 0
            large[:outputs, : small.shape[1]] = small
    if layer_type == "BatchNorm":
        # Caffe keeps sums and what to divide them by: a variance of 1 for channels that have none yet.
        _, variance, factor = wide
        variance[narrow[1].shape[0] :] = factor
