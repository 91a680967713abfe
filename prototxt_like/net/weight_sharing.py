"""Share the blobs of one net with another, as Caffe's test nets do."""

from __future__ import annotations

from prototxt_like.errors import WeightsError
from prototxt_like.limits import format_shape
from prototxt_like.net.net import Net


def share_trained_layers(net: Net, source: Net) -> None:
    """Let the layers of a net use the blobs of the layers with the same names of another net.

    Later changes of a blob are visible in both nets.

    Args:
        net: Net whose blobs are replaced. Layers that are not in ``source`` keep theirs.
        source: Net that owns the blobs, on the same device.

    Raises:
        WeightsError: If the blobs of two layers differ in number or shape.
    Source: BVLC/caffe src/caffe/net.cpp, Net::ShareTrainedLayersWith
    """
    owners = {layer.name: layer for layer in source.caffe_layers if layer.blob_names}
    for layer in net.caffe_layers:
        owner = owners.get(layer.name)
        if owner is None or not layer.blob_names:
            continue
        found = [tuple(blob.shape) for blob in owner.blobs]
        expected = [tuple(blob.shape) for blob in layer.blobs]
        if found != expected:
            raise WeightsError(
                f"{layer.display_name} cannot share its blobs: found {', '.join(map(format_shape, found))}, "
                f"expected {', '.join(map(format_shape, expected))}; use the same net in both phases"
            )
        for name, other in zip(layer.blob_names, owner.blob_names, strict=True):
            if name in layer._parameters:
                layer._parameters[name] = getattr(owner, other)
            elif name in layer._buffers:
                layer._buffers[name] = getattr(owner, other)
