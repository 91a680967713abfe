"""Load and save caffemodels."""

from __future__ import annotations

import os

from prototxt_like.io.blobs import array_to_blob
from prototxt_like.io.files import read_net, write_binary
from prototxt_like.io.hdf5_snapshots import write_hdf5_weights
from prototxt_like.io.upgrade import upgraded
from prototxt_like.net.inputs import is_input
from prototxt_like.net.net import Net
from prototxt_like.net.trained_layers import LoadReport, copy_trained_layers
from prototxt_like.schema.caffe_schema_pb2 import NetParameter


def load_weights(net: Net, weights: NetParameter | str | os.PathLike[str]) -> LoadReport:
    """Copy trained blobs into the layers with the same names, by Caffe's rules.

    All shapes are checked before the first value is copied.

    Args:
        net: Net to load into.
        weights: Path of a caffemodel, or a NetParameter with blobs.

    Returns:
        Names of loaded, missing and unused layers.

    Raises:
        FileError: If the file cannot be read, or a blob's number of values contradicts its shape.
        WeightsError: If the number of blobs of a layer or the shape of a blob differs.
    Source: BVLC/caffe src/caffe/net.cpp, Net::CopyTrainedLayersFrom
    """
    message = upgraded(weights) if isinstance(weights, NetParameter) else read_net(weights)
    return copy_trained_layers(net.caffe_layers, message)


def to_proto(net: Net) -> NetParameter:
    """Return the layers of a net with their blobs, as in a caffemodel written by Caffe."""
    message = NetParameter(name=net.name)
    layers = iter(net.caffe_layers)
    for layer in net.proto.layer:
        written = message.layer.add()
        written.CopyFrom(layer)
        if not written.HasField("phase"):
            written.phase = net.proto.state.phase
        if is_input(layer):
            continue
        for tensor in next(layers).blobs:
            written.blobs.append(array_to_blob(tensor.detach().float().cpu().numpy()))
    return message


def save_weights(net: Net, path: str | os.PathLike[str]) -> None:
    """Write a caffemodel that Caffe can load.

    Args:
        net: Net to save.
        path: Path of the caffemodel; replaced atomically. A path that ends with .h5 is written as HDF5.
    """
    if str(path).endswith(".h5"):
        write_hdf5_weights(to_proto(net), path)
    else:
        write_binary(to_proto(net), path)
