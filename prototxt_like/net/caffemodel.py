"""Caffemodels: blobs of a file into a net and back, by layer name."""

from __future__ import annotations

import os

from prototxt_like.io.blobs import array_to_blob
from prototxt_like.io.files import read_net, write_binary
from prototxt_like.io.upgrade import upgraded
from prototxt_like.net.net import Net
from prototxt_like.net.trained_layers import LoadReport, copy_trained_layers
from prototxt_like.schema.caffe_schema_pb2 import NetParameter


def load_weights(net: Net, weights: NetParameter | str | os.PathLike[str]) -> LoadReport:
    """Copy trained blobs into the layers of the same name, by Caffe's rules.

    Nothing is copied unless everything fits.

    Args:
        net: the net.
        weights: a caffemodel's path, or its message.

    Returns:
        Which layers were loaded, missing, unused.

    Raises:
        FileError: the file cannot be read, or its counts contradict its shapes.
        WeightsError: a layer with another number of blobs, or a blob of another shape.
    Source: BVLC/caffe src/caffe/net.cpp, Net::CopyTrainedLayersFrom
    """
    message = upgraded(weights) if isinstance(weights, NetParameter) else read_net(weights)
    return copy_trained_layers(net.caffe_layers, message)


def to_proto(net: Net) -> NetParameter:
    """The net's layers with their blobs, as Caffe writes them into a caffemodel."""
    message = NetParameter(name=net.name)
    blobs = net.params
    for layer in net.proto.layer:
        written = message.layer.add()
        written.CopyFrom(layer)
        if not written.HasField("phase"):
            written.phase = net.proto.state.phase
        for tensor in blobs.get(layer.name, ()):
            written.blobs.append(array_to_blob(tensor.detach().float().cpu().numpy()))
    return message


def save_weights(net: Net, path: str | os.PathLike[str]) -> None:
    """Write a caffemodel that Caffe reads.

    Args:
        net: the net.
        path: the file; it is replaced whole or not at all.
    """
    write_binary(to_proto(net), path)
