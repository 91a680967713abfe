"""Caffe's Reshape before every forward pass: do the layers agree to inputs of these sizes?"""

from __future__ import annotations

from prototxt_like.limits import CAFFE_VALUES, BuildContext, format_shape
from prototxt_like.net.graph import NetGraph, build_graph
from prototxt_like.net.inputs import Shape
from prototxt_like.schema.caffe_schema_pb2 import NetParameter


class ReshapeCheck:
    """The input shapes with which a net can run.

    Caffe lets every layer infer and check its shapes anew before every forward pass. Here the same is done when
    shapes come for the first time: it costs some milliseconds, and the answer stays the same.

    Args:
        net: with the layers of one state; it is kept, not copied.
        phase: "TRAIN" or "TEST".
        graph: what the net was built as.

    Source: BVLC/caffe include/caffe/layer.hpp, Layer::Forward
    """

    def __init__(self, net: NetParameter, phase: str, graph: NetGraph) -> None:
        self._net, self._phase = net, phase
        self._names = list(graph.input_shapes)
        self._blobs = _blob_shapes(graph)
        self._known: set[tuple[Shape, ...]] = {tuple(graph.input_shapes.values())}

    def is_known(self, shapes: tuple[Shape, ...]) -> bool:
        """Whether these input shapes, in the order of the net, have passed before."""
        try:
            return shapes in self._known
        except TypeError:  # sizes that are symbols
            return False

    def check(self, shapes: tuple[Shape, ...]) -> None:
        """Set all layers up for these input shapes, and forget them again.

        Raises:
            NetError: a blob would have more values than Caffe can count.
            ShapeMismatch: a layer does not take these shapes, or would need parameters of another shape.
        """
        given = dict(zip(self._names, shapes, strict=True))
        context = BuildContext(CAFFE_VALUES, shape_only=True)  # a batch is the caller's, and no hostile file's
        self._check_blobs(build_graph(self._net, self._phase, given, None, context))
        self._known.add(tuple(tuple(shape) for shape in shapes))

    def _check_blobs(self, graph: NetGraph) -> None:
        for key, needed in _blob_shapes(graph).items():
            for index, (ours, theirs) in enumerate(zip(self._blobs[key], needed, strict=True)):
                if ours != theirs:
                    graph.layers[key].fail_shape(
                        f"for inputs of these sizes its blob {index} would be {format_shape(theirs)}, "
                        f"but the net was built with {format_shape(ours)}; build the net with these input_shapes"
                    )


def _blob_shapes(graph: NetGraph) -> dict[str, list[Shape]]:
    return {key: [tuple(blob.shape) for blob in layer.blobs] for key, layer in graph.layers.items()}
