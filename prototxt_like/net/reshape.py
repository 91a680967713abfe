"""Check new input shapes layer by layer, like Caffe's Reshape."""

from __future__ import annotations

import torch

from prototxt_like.limits import CAFFE_VALUES, BuildContext, format_shape
from prototxt_like.net.graph import NetGraph
from prototxt_like.net.graph_builder import build_graph
from prototxt_like.net.inputs import Shape
from prototxt_like.schema.caffe_schema_pb2 import NetParameter


class ReshapeCheck:
    """Cache of the input shapes that a net supports.

    In Caffe, every layer infers and checks its shapes before every forward pass. Here this is done only when shapes
    occur for the first time, because it takes a few milliseconds and the result does not change.

    Args:
        net: NetParameter with the layers of one state; not copied.
        phase: "TRAIN" or "TEST".
        graph: Graph of the built net.

    Source: BVLC/caffe include/caffe/layer.hpp, Layer::Forward
    """

    def __init__(self, net: NetParameter, phase: str, graph: NetGraph) -> None:
        self._net, self._phase = net, phase
        self._names = list(graph.input_shapes)
        self._blobs = _blob_shapes(graph)
        self._known: set[tuple[Shape, ...]] = {tuple(graph.input_shapes.values())}

    def is_known(self, shapes: tuple[Shape, ...]) -> bool:
        """Return whether these input shapes, in the order of the net, have passed the check before."""
        try:
            return shapes in self._known
        except TypeError:  # symbolic sizes
            return False

    def check(self, shapes: tuple[Shape, ...]) -> None:
        """Build all layers for these input shapes and discard them.

        Raises:
            NetError: If a blob would exceed Caffe's limit of 2^31 - 1 values.
            ShapeMismatch: If a layer does not support these shapes or would need parameters of another shape.
        """
        given = dict(zip(self._names, shapes, strict=True))
        context = BuildContext(CAFFE_VALUES, shape_only=True)  # batch sizes come from the caller and are trusted
        self._check_blobs(build_graph(self._net, self._phase, given, None, context))
        self._known.add(tuple(tuple(shape) for shape in shapes))

    def _check_blobs(self, graph: NetGraph) -> None:
        for key, needed in _blob_shapes(graph).items():
            for index, (built, required) in enumerate(zip(self._blobs[key], needed, strict=True)):
                if built != required:
                    graph.layers[key].fail_shape(
                        f"inputs of these sizes need a blob {index} of {format_shape(required)}, "
                        f"but the net was built with {format_shape(built)}; build the net with these input_shapes"
                    )


def is_traced(shapes: tuple[Shape, ...]) -> bool:
    """Return whether a graph is being traced. Sizes may then be symbolic and must not be compared."""
    if torch.compiler.is_compiling() or torch.jit.is_tracing():
        return True
    return any(isinstance(size, torch.SymInt) for shape in shapes for size in shape[:1])


def _blob_shapes(graph: NetGraph) -> dict[str, list[Shape]]:
    return {key: [tuple(blob.shape) for blob in layer.blobs] for key, layer in graph.layers.items()}
