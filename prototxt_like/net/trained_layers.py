"""Trained blobs into layers of the same name, by Caffe's rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from prototxt_like.errors import WeightsError
from prototxt_like.io.blobs import blob_shape, blob_to_array, check_blob, is_legacy
from prototxt_like.layers import Layer
from prototxt_like.limits import format_shape
from prototxt_like.schema.caffe_schema_pb2 import BlobProto, NetParameter


@dataclass
class LoadReport:
    """What became of the layers when weights were loaded.

    Args:
        loaded: layers that took their blobs from the file.
        missing: layers of the net whose blobs the file does not have; they keep their filling.
        unused: layers of the file, with blobs, that the net does not have.
    """

    loaded: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)


def copy_trained_layers(layers: Sequence[Layer], trained: NetParameter) -> LoadReport:
    """Copy trained blobs into the layers of the same name; nothing is copied unless everything fits.

    Args:
        layers: the layers of a net, in its order.
        trained: a net's message with blobs, in today's layout.

    Returns:
        Which layers were loaded, missing, unused.

    Raises:
        FileError: a blob's count contradicts its shape.
        WeightsError: a layer with another number of blobs, or a blob of another shape.
    Source: BVLC/caffe src/caffe/net.cpp, Net::CopyTrainedLayersFrom
    """
    targets = {layer.name: layer for layer in reversed(layers)}
    report = LoadReport()
    copies: list[tuple[Tensor, BlobProto]] = []
    for source in trained.layer:
        target = targets.get(source.name)
        if target is None or not (source.blobs or target.blob_names):
            report.unused += [source.name] if source.blobs else []
            continue
        copies += _matched(target, source.blobs)
        report.loaded.append(source.name)
    for tensor, blob in copies:  # one after the other, so that the numbers are in memory once more, not twice
        _copy(tensor, blob)
    with_blobs = dict.fromkeys(layer.name for layer in layers if layer.blob_names)
    report.missing = [name for name in with_blobs if name not in report.loaded]
    return report


def _matched(layer: Layer, blobs: Sequence[BlobProto]) -> list[tuple[Tensor, BlobProto]]:
    tensors = layer.blobs
    if len(tensors) != len(blobs):
        raise WeightsError(
            f"{layer.display_name} has {len(tensors)} blobs, the weights have {len(blobs)} for it; "
            "rename the layer to train it from scratch"
        )
    for index, (tensor, blob) in enumerate(zip(tensors, blobs, strict=True)):
        if not shape_equals(tuple(tensor.shape), blob):
            raise WeightsError(
                f"{layer.display_name}: blob {index} is {format_shape(tensor.shape)}, "
                f"the weights have {format_shape(blob_shape(blob))}; rename the layer to train it from scratch"
            )
        check_blob(blob, f"{layer.display_name}: blob {index} of the weights")
    return list(zip(tensors, blobs, strict=True))


def shape_equals(shape: tuple[int, ...], blob: BlobProto) -> bool:
    """Caffe's rule: equal shapes, or, for a file with four legacy sizes, equal after 1s are put in front.

    Source: BVLC/caffe src/caffe/blob.cpp, Blob::ShapeEquals
    """
    theirs = blob_shape(blob)
    if is_legacy(blob):
        return len(shape) <= 4 and (1,) * (4 - len(shape)) + shape == theirs
    return shape == theirs


@torch.no_grad()
def _copy(tensor: Tensor, blob: BlobProto) -> None:
    tensor.copy_(torch.from_numpy(blob_to_array(blob)).view(tensor.shape))
