"""Caffe's nets, solvers and weights as living PyTorch objects.

    import prototxt_like as pl
    net = pl.Net("deploy.prototxt", "weights.caffemodel")
    outputs = net(data=pictures)

What needs torch is imported when it is first used, so that reading a file stays quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prototxt_like import zoo
    from prototxt_like.blob import array_to_blob, blob_to_array
    from prototxt_like.errors import (
        FileError,
        NetError,
        ParseError,
        PrototxtLikeError,
        ShapeMismatch,
        SolverError,
        UnknownLayerType,
        WeightsError,
    )
    from prototxt_like.files import (
        parse_net,
        parse_solver,
        read_mean,
        read_net,
        read_solver,
        read_solver_state,
        write_binary,
        write_mean,
        write_text,
    )
    from prototxt_like.net import Net
    from prototxt_like.schema.caffe_schema_pb2 import (
        BlobProto,
        Datum,
        LayerParameter,
        NetParameter,
        SolverParameter,
        SolverState,
        TransformationParameter,
    )
    from prototxt_like.weights import LoadReport, load_weights, save_weights, weights_message

_HOMES = {
    "blob": ("array_to_blob", "blob_to_array"),
    "errors": (
        "FileError",
        "NetError",
        "ParseError",
        "PrototxtLikeError",
        "ShapeMismatch",
        "SolverError",
        "UnknownLayerType",
        "WeightsError",
    ),
    "files": (
        "parse_net",
        "parse_solver",
        "read_mean",
        "read_net",
        "read_solver",
        "read_solver_state",
        "write_binary",
        "write_mean",
        "write_text",
    ),
    "net": ("Net",),
    "schema.caffe_schema_pb2": (
        "BlobProto",
        "Datum",
        "LayerParameter",
        "NetParameter",
        "SolverParameter",
        "SolverState",
        "TransformationParameter",
    ),
    "solver": ("Solver",),
    "weights": ("LoadReport", "load_weights", "save_weights", "weights_message"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted([*_HOME, "zoo"])  # noqa: PLE0605 - a list, made rather than typed twice


def __getattr__(name: str) -> Any:
    if name == "zoo":
        return importlib.import_module("prototxt_like.zoo")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"prototxt_like.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
