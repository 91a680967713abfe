"""Load, run, train and save Caffe nets in PyTorch.

    import prototxt_like as pl
    net = pl.Net("deploy.prototxt", "weights.caffemodel")
    outputs = net(data=images)

Names are imported on first use, so that reading a file does not import torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prototxt_like import zoo as zoo
    from prototxt_like.errors import FileError as FileError
    from prototxt_like.errors import NetError as NetError
    from prototxt_like.errors import ParseError as ParseError
    from prototxt_like.errors import PrototxtLikeError as PrototxtLikeError
    from prototxt_like.errors import ShapeMismatch as ShapeMismatch
    from prototxt_like.errors import SolverError as SolverError
    from prototxt_like.errors import UnknownLayerType as UnknownLayerType
    from prototxt_like.errors import WeightsError as WeightsError
    from prototxt_like.io.blobs import array_to_blob as array_to_blob
    from prototxt_like.io.blobs import blob_to_array as blob_to_array
    from prototxt_like.io.files import parse_net as parse_net
    from prototxt_like.io.files import parse_solver as parse_solver
    from prototxt_like.io.files import parse_transform as parse_transform
    from prototxt_like.io.files import read_mean as read_mean
    from prototxt_like.io.files import read_net as read_net
    from prototxt_like.io.files import read_solver as read_solver
    from prototxt_like.io.files import read_solver_state as read_solver_state
    from prototxt_like.io.files import to_text as to_text
    from prototxt_like.io.files import write_binary as write_binary
    from prototxt_like.io.files import write_mean as write_mean
    from prototxt_like.io.files import write_text as write_text
    from prototxt_like.net.caffemodel import load_weights as load_weights
    from prototxt_like.net.caffemodel import save_weights as save_weights
    from prototxt_like.net.caffemodel import to_proto as to_proto
    from prototxt_like.net.data_layer import data_layer as data_layer
    from prototxt_like.net.data_layer import data_shapes as data_shapes
    from prototxt_like.net.folding import fold_batch_norm as fold_batch_norm
    from prototxt_like.net.net import Net as Net
    from prototxt_like.net.trained_layers import LoadReport as LoadReport
    from prototxt_like.schema.caffe_schema_pb2 import BlobProto as BlobProto
    from prototxt_like.schema.caffe_schema_pb2 import Datum as Datum
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter as LayerParameter
    from prototxt_like.schema.caffe_schema_pb2 import NetParameter as NetParameter
    from prototxt_like.schema.caffe_schema_pb2 import Phase as Phase
    from prototxt_like.schema.caffe_schema_pb2 import SolverParameter as SolverParameter
    from prototxt_like.schema.caffe_schema_pb2 import SolverState as SolverState
    from prototxt_like.schema.caffe_schema_pb2 import TransformationParameter as TransformationParameter
    from prototxt_like.solver.lr_policies import learning_rate as learning_rate
    from prototxt_like.solver.snapshot import restore_snapshot as restore_snapshot
    from prototxt_like.solver.snapshot import write_snapshot as write_snapshot
    from prototxt_like.solver.solver import Solver as Solver
    from prototxt_like.tools.caffe_compat import extensions as extensions
    from prototxt_like.tools.caffe_compat import is_pure_caffe as is_pure_caffe
    from prototxt_like.tools.caffe_compat import strip_extensions as strip_extensions
    from prototxt_like.tools.draw_net import draw_net as draw_net
    from prototxt_like.tools.summary import LayerSummary as LayerSummary
    from prototxt_like.tools.summary import summary as summary
    from prototxt_like.transforms.transform import Transform as Transform

# Module of each public name.
_HOMES = {
    "errors": [
        "FileError",
        "NetError",
        "ParseError",
        "PrototxtLikeError",
        "ShapeMismatch",
        "SolverError",
        "UnknownLayerType",
        "WeightsError",
    ],
    "io.blobs": ["array_to_blob", "blob_to_array"],
    "io.files": [
        "parse_net",
        "parse_solver",
        "parse_transform",
        "read_mean",
        "read_net",
        "read_solver",
        "read_solver_state",
        "to_text",
        "write_binary",
        "write_mean",
        "write_text",
    ],
    "net.caffemodel": ["load_weights", "save_weights", "to_proto"],
    "net.data_layer": ["data_layer", "data_shapes"],
    "net.folding": ["fold_batch_norm"],
    "net.net": ["Net"],
    "net.trained_layers": ["LoadReport"],
    "schema.caffe_schema_pb2": [
        "BlobProto",
        "Datum",
        "LayerParameter",
        "NetParameter",
        "Phase",
        "SolverParameter",
        "SolverState",
        "TransformationParameter",
    ],
    "solver.lr_policies": ["learning_rate"],
    "solver.snapshot": ["restore_snapshot", "write_snapshot"],
    "solver.solver": ["Solver"],
    "tools.caffe_compat": ["extensions", "is_pure_caffe", "strip_extensions"],
    "tools.draw_net": ["draw_net"],
    "tools.summary": ["LayerSummary", "summary"],
    "transforms.transform": ["Transform"],
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name == "zoo":
        return importlib.import_module("prototxt_like.zoo")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"prototxt_like.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*_HOME, "zoo"])
