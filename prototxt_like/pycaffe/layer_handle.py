"""Layers of pycaffe: type and parameter blobs."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from prototxt_like.net.layerwise import LayerwiseNet
from prototxt_like.pycaffe.blob import Blob


@dataclass(frozen=True)
class LayerHandle:
    """One layer of a net.

    Attributes:
        type: Layer type.
        blobs: Parameter blobs in Caffe's order.
    """

    type: str
    blobs: list[Blob]


def parameter_blobs(net: LayerwiseNet, index: int) -> list[Blob]:
    """Return the parameter blobs of the layer at a position. Their arrays share memory with the net."""
    layer = net.modules[index]
    return [] if layer is None else [_parameter(net, index, name) for name in layer.blob_names]


def _parameter(net: LayerwiseNet, index: int, name: str) -> Blob:
    def tensor() -> Tensor:
        blob: Tensor = getattr(net.modules[index], name)
        return blob

    return Blob(tensor, lambda: net.param_diff(tensor()))
