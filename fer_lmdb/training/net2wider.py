"""Initialize a net from a narrower one, so that it computes the same function at first.

The blobs of the narrow net fill the first channels of the wide net. Their weights for the new input channels are 0; the
new channels keep the values of their fillers and contribute as soon as training changes the zeros.
Source: function-preserving growth follows Chen et al., Net2Net (arXiv 1511.05641), which duplicates channels and adds
    noise to break the symmetry; zeros need no noise.
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
"""Layer types that neither permute nor mix channels."""


def validate_widening(net: pl.Net) -> None:
    """Check that new channels do not change the output of the first ones.

    Raises:
        RunError: If a layer other than convolution or inner product permutes or mixes channels.
    """
    for layer in net.proto.layer:
        plain = {
            "Convolution": layer.convolution_param.group == 1,
            "InnerProduct": not layer.inner_product_param.transpose,
        }
        if not plain.get(layer.type, layer.type in KEEPS_CHANNELS):
            kind = layer.type + {"Convolution": " in groups", "InnerProduct": ", transposed"}.get(layer.type, "")
            raise RunError(
                f"--widen: layer {layer.name} ({kind}) permutes or mixes channels; "
                "remove --widen, or use a net without such layers"
            )


def check_spatial_sizes(narrow: pl.Net, wide: pl.Net) -> None:
    """Check that both nets have feature maps of the same size before each inner product.

    Raises:
        RunError: If the sizes differ.
    """
    sizes = _input_sizes(narrow)
    for layer, size in _input_sizes(wide).items():
        if sizes.get(layer, size) != size:
            raise RunError(
                f"--widen: layer {layer} reads {_format(size)} feature maps, but {_format(sizes[layer])} in the model; "
                "use a net with the model's crop_size"
            )


def _input_sizes(net: pl.Net) -> dict[str, tuple[int, ...]]:
    """Return height and width of the input of each inner product."""
    inner = [layer for layer in net.proto.layer if layer.type == "InnerProduct"]
    return {layer.name: net.shapes[layer.bottom[0]][2:] for layer in inner}


def _format(size: Sequence[int]) -> str:
    return " x ".join(map(str, size)) or "1"


def is_widened(narrow: Sequence[torch.Tensor], wide: Sequence[torch.Tensor]) -> bool:
    """Return whether blobs fit into the first channels of others: (out, in, height, width), (out, in) or (out,)."""
    return len(narrow) == len(wide) and all(
        small.ndim == large.ndim
        and small.shape[2:] == large.shape[2:]
        and all(a <= b for a, b in zip(small.shape, large.shape, strict=True))
        for small, large in zip(narrow, wide, strict=True)
    )


@torch.no_grad()
def widen(layer_type: str, narrow: Sequence[torch.Tensor], wide: Sequence[torch.Tensor]) -> None:
    """Write the blobs of a narrow layer into the first channels of a wide one, in place; see `is_widened`."""
    for small, large in zip(narrow, wide, strict=True):
        outputs = small.shape[0]
        if small.ndim == 1:
            large[:outputs] = small
        else:
            large[:outputs] = 0
            large[:outputs, : small.shape[1]] = small
    if layer_type == "BatchNorm":
        # Caffe stores sums and their divisor: this sets the variance of new channels to 1.
        _, variance, factor = wide
        variance[narrow[1].shape[0] :] = factor
