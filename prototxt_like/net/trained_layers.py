"""Copy trained blobs into layers with the same names, by Caffe's rules."""

from __future__ import annotations

import math
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
    """Result of loading weights.

    Args:
        loaded: Names of layers whose blobs were loaded.
        missing: Names of layers of the net that are not in the file; they keep their filler values.
        unused: Names of layers of the file, with blobs, that are not in the net.
    """

    loaded: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)

    def notes(self) -> list[str]:
        """Return one sentence for each kind of layer that was not loaded."""
        found = []
        if self.missing:
            found.append(f"not in the weights, so initialized by its fillers: {_listed(self.missing)}")
        if self.unused:
            found.append(f"only in the weights, so ignored: {_listed(self.unused)}")
        return found


def copy_trained_layers(layers: Sequence[Layer], trained: NetParameter) -> LoadReport:
    """Copy trained blobs into the layers with the same names.

    All shapes are checked before the first value is copied.

    Args:
        layers: Layers of a net, in order.
        trained: NetParameter with blobs, in the current layout.

    Returns:
        Names of loaded, missing and unused layers.

    Raises:
        FileError: If a blob's number of values contradicts its shape.
        WeightsError: If no layer fits, or the number of blobs of a layer or the shape of a blob differs.
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
    for tensor, blob in copies:  # converted one at a time, to limit peak memory
        _copy(tensor, blob)
    with_blobs = dict.fromkeys(layer.name for layer in layers if layer.blob_names)
    if report.unused and with_blobs and not report.loaded:
        raise WeightsError(
            f"no layer of the weights fits the net: found {_listed(report.unused)}, expected some of "
            f"{_listed(list(with_blobs))}; use the weights of this net, or rename its layers"
        )
    report.missing = [name for name in with_blobs if name not in report.loaded]
    return report


def _matched(layer: Layer, blobs: Sequence[BlobProto]) -> list[tuple[Tensor, BlobProto]]:
    tensors, blobs = layer.blobs, _in_order(layer, blobs)
    if len(tensors) != len(blobs) and layer.type_name == "BatchNorm" and len(blobs) == 5:
        raise WeightsError(
            f"{layer.display_name}: found five blobs, the BatchNorm and Scale of NVCaffe or Intel Caffe in one layer, "
            "expected three; write batch_norm_param { scale_bias: true }, or pass the weights when building the net"
        )
    if len(tensors) != len(blobs):
        raise WeightsError(
            f"wrong number of blobs for {layer.display_name}: found {len(blobs)}, expected {len(tensors)}; "
            "rename the layer to train it from scratch"
        )
    for index, (tensor, blob) in enumerate(zip(tensors, blobs, strict=True)):
        if not shape_equals(tuple(tensor.shape), blob):
            raise WeightsError(
                f"{layer.display_name}: wrong shape of blob {index}: found {format_shape(blob_shape(blob))}, "
                f"expected {format_shape(tensor.shape)}; rename the layer to train it from scratch"
            )
        check_blob(blob, f"{layer.display_name}: blob {index} of the weights")
    return list(zip(tensors, blobs, strict=True))


def _in_order(layer: Layer, blobs: Sequence[BlobProto]) -> Sequence[BlobProto]:
    """Return five BatchNorm blobs in NVCaffe's order: mean, variance, divisor, factor, offset.

    Older versions of Intel Caffe write factor, offset, mean, variance, divisor.
    """
    if layer.type_name != "BatchNorm" or len(blobs) != 5:
        return blobs
    counts = [math.prod(blob_shape(blob)) for blob in blobs]
    return [*blobs[2:], *blobs[:2]] if counts[4] == 1 != counts[2] else blobs


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(names[:8]) + more


def shape_equals(shape: tuple[int, ...], blob: BlobProto) -> bool:
    """Return whether a blob has a shape by Caffe's rule: four legacy sizes may have leading ones.

    Source: BVLC/caffe src/caffe/blob.cpp, Blob::ShapeEquals
    """
    stored = blob_shape(blob)
    if is_legacy(blob):
        return len(shape) <= 4 and (1,) * (4 - len(shape)) + shape == stored
    return shape == stored


@torch.no_grad()
def _copy(tensor: Tensor, blob: BlobProto) -> None:
    tensor.copy_(torch.from_numpy(blob_to_array(blob)).view(tensor.shape))
