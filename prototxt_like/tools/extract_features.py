"""``extract_features``: write blobs of a trained net to databases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch

from prototxt_like import glog
from prototxt_like.errors import FileError
from prototxt_like.io.files import read_net
from prototxt_like.io.hdf5 import write_hdf5
from prototxt_like.net.caffemodel import load_weights
from prototxt_like.schema.caffe_schema_pb2 import Datum
from prototxt_like.sources.fed_net import FedNet
from prototxt_like.tools.caffe_flags import choose_device
from prototxt_like.tools.flags import Command, UsageError
from prototxt_like.tools.record_writer import Record, write_records

COMMAND = Command(
    "PRETRAINED NET BLOB[,BLOB...] DATASET[,DATASET...] MINI_BATCHES lmdb|leveldb|hdf5 [CPU|GPU] [DEVICE_ID]",
    "Extract features: run a trained net on its data layer, and write blobs. HDF5 is not in Caffe.",
    {},
    6,
    8,
)


def main(arguments: Sequence[str]) -> int:
    """Run the program and return its exit code.

    Source: BVLC/caffe tools/extract_features.cpp
    """
    _, (weights, model, blobs, datasets, batches, kind, *device) = COMMAND.parse(arguments)
    names, paths = blobs.split(","), datasets.split(",")
    if len(names) != len(paths):
        raise UsageError(f"found {len(names)} blob names and {len(paths)} dataset names, expected equal numbers")
    if not batches.isdigit() or int(batches) < 1:
        raise UsageError(f"invalid number of mini-batches: found {batches}, expected 1 or more")
    on_gpu = device[:1] == ["GPU"]
    chosen = choose_device((device[1] if len(device) > 1 else "0") if on_gpu else "")
    net = FedNet(read_net(model), "TEST", folder=Path(model).parent, device=chosen)
    load_weights(net.net, weights)
    for name in names:
        if name not in net.net.shapes:
            raise FileError(f"unknown feature blob name {name} in the network {model}")
    glog.error("extract_features.cpp:126", "Extracting Features")
    for name, path, features in zip(names, paths, _extract(net, names, int(batches)), strict=True):
        _write(features, name, path, kind)
        text = f"Extracted features of {len(features)} query images for feature blob {name}"
        glog.error("extract_features.cpp:173", text)
    glog.error("extract_features.cpp:178", "Successfully extracted the features!")
    return 0


def _extract(net: FedNet, names: Sequence[str], batches: int) -> list[np.ndarray]:
    """Return the features of each blob, (images, ...) float32."""
    parts: list[list[np.ndarray]] = [[] for _ in names]
    with torch.no_grad():
        for _ in range(batches):
            found = net.net.blobs(**net.next_batch())
            for part, name in zip(parts, names, strict=True):
                part.append(found[name].float().cpu().numpy())
    return [np.concatenate([np.atleast_1d(array) for array in part]) for part in parts]


def _write(features: np.ndarray, name: str, path: str, kind: str) -> None:
    if kind != "hdf5":
        write_records(path, kind, _records(features))
        return
    with ExitStack() as stack:
        stack.enter_context(write_hdf5(path))[name] = features


def _records(features: np.ndarray) -> Iterator[Record]:
    if features.ndim > 4:
        raise FileError(f"a Datum has at most 3 axes: found {features.ndim - 1}; use hdf5")
    shape = (*features.shape[1:], 1, 1, 1)[:3]
    for index, values in enumerate(features):
        datum = Datum(channels=shape[0], height=shape[1], width=shape[2], float_data=values.ravel())
        yield f"{index:010d}".encode(), datum.SerializeToString(deterministic=True)
