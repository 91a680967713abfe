"""Build a net's layers from a NetParameter: blob connections, shapes and shared parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import nn

from prototxt_like.errors import NetError
from prototxt_like.layers import Layer, get_layer_class
from prototxt_like.limits import BuildContext, check_numbers
from prototxt_like.net.dynamic_shapes import DynamicShapeCheck
from prototxt_like.net.graph import NetGraph
from prototxt_like.net.inputs import Shape, input_shapes, is_input
from prototxt_like.net.param_sharing import ParamSharing
from prototxt_like.net.steps import set_steps
from prototxt_like.schema.caffe_schema_pb2 import LayerParameter, NetParameter, Phase
from prototxt_like.suggest import did_you_mean


def build_graph(
    net: NetParameter,
    phase: str,
    given: Mapping[str, Sequence[int]],
    weights: NetParameter | None,
    context: BuildContext,
) -> NetGraph:
    """Build all layers of a filtered net.

    Args:
        net: NetParameter with the layers of one state.
        phase: "TRAIN" or "TEST"; a layer's own phase takes precedence.
        given: Input shapes from the caller, by blob name.
        weights: Trained weights, from which the number of input channels may be read, or None.
        context: Build settings and size budget of this net.

    Raises:
        NetError: If the net cannot be built. The message contains the layer.
    """
    return GraphBuilder(net, phase, given, weights, context).build()


class GraphBuilder:
    """Builder of one net. See ``build_graph`` for the arguments."""

    def __init__(
        self,
        net: NetParameter,
        phase: str,
        given: Mapping[str, Sequence[int]],
        weights: NetParameter | None,
        context: BuildContext,
    ) -> None:
        self.net, self.phase, self.given, self.weights, self.context = net, phase, given, weights, context
        self.graph = NetGraph()
        self.producers: dict[str, str] = {}  # blob -> name of the layer that produces it
        self.unread: dict[str, None] = {}  # ordered set of blobs that no layer has consumed yet
        self.uses: dict[str, list[str]] = {}  # blob -> descriptions of the uses of its current value
        self.sharing = ParamSharing(force_backward=net.force_backward, shape_only=context.shape_only)
        self.parts: list[tuple[str, LayerParameter]] = []
        self.dynamic: set[str] = set()  # blobs whose batch size depends on the data
        self.checks: dict[str, DynamicShapeCheck] = {}  # by module key
        self.holders: set[str] = set()  # names of layers with parameters

    def build(self) -> NetGraph:
        """Build all layers in file order. Can be called only once."""
        self._check_names()
        for index, layer in enumerate(self.net.layer):
            if is_input(layer):
                self._add_input(layer)
            else:
                self._add_layer(index, layer)
        self._check_given()
        graph = self.graph
        graph.outputs = list(self.unread) + [name for name in graph.loss_weights if name not in self.unread]
        graph.required = frozenset(bottom for _, part in self.parts for bottom in part.bottom)
        graph.learnable_params = self.sharing.learnable_params
        set_steps(graph, self.parts, self.checks, force_backward=self.net.force_backward)
        return graph

    def _check_names(self) -> None:
        if not self.net.layer:
            raise NetError(f'net "{self.net.name}" has no layer in phase {self.phase}')
        for layer in self.net.layer:
            if not layer.type:
                raise NetError(f'layer "{layer.name}" has no type')

    def _add_input(self, layer: LayerParameter) -> None:
        for top, shape in zip(layer.top, input_shapes(layer, self.given, self.weights, self.net), strict=True):
            self.context.check_shape(shape, f'input "{top}"')
            self._make_blob(top, layer, shape)
            self.graph.input_shapes[top] = shape

    def _add_layer(self, index: int, written: LayerParameter) -> None:
        parameter = LayerParameter()
        parameter.CopyFrom(written)
        cls = get_layer_class(parameter.type, parameter.name)
        check_numbers(parameter, f'layer "{parameter.name}" ({parameter.type})')
        self._name_automatic_top(parameter, cls)
        shapes = [self._bottom_shape(parameter, bottom) for bottom in parameter.bottom]
        _check_propagate_down(parameter)
        phase = Phase.Name(parameter.phase) if parameter.HasField("phase") else self.phase
        layer = cls(parameter, shapes, phase, self.context)
        if phase == "TEST" and self.phase == "TRAIN":
            layer.keep_in_test()
        for bottom in parameter.bottom:
            self.unread.pop(bottom, None)
            self.uses[bottom].append(f'layer "{parameter.name}" also reads')
        for position, (top, shape) in enumerate(zip(parameter.top, layer.top_shapes, strict=True)):
            self.context.check_shape(shape, f'layer "{parameter.name}", top "{top}"')
            in_place = position < len(parameter.bottom) and parameter.bottom[position] == top
            if in_place:
                self._check_in_place(top, parameter)
            self._make_blob(top, parameter, shape, in_place=in_place)
        key = self._add_module(index, layer)
        self._add_loss_weights(parameter, cls)
        self.sharing.add(key, layer, parameter)
        self._add_dynamic(key, layer, parameter)
        self.graph.notes += [f"{layer.display_name}: {note}" for note in layer.notes]
        self.parts.append((key, parameter))

    def _add_dynamic(self, key: str, layer: Layer, parameter: LayerParameter) -> None:
        """List a layer behind one with a data-dependent batch size, so that it is checked in every forward pass."""
        behind = not self.dynamic.isdisjoint(parameter.bottom)
        if behind:
            self.checks[key] = DynamicShapeCheck(key, type(layer), parameter, layer.phase)
        if behind or layer.data_dependent:
            self.dynamic.update(parameter.top)

    def _bottom_shape(self, layer: LayerParameter, bottom: str) -> Shape:
        if bottom in self.graph.shapes:
            return self.graph.shapes[bottom]
        producer = next((other for other in self.net.layer if bottom in other.top), None)
        title = f'layer "{layer.name}" ({layer.type}) reads "{bottom}", which'
        if producer is None:
            raise NetError(f"{title} no layer produces{did_you_mean(bottom, self.graph.shapes)}")
        if producer.name == layer.name:
            raise NetError(f"{title} is its own top; no earlier layer produces it")
        raise NetError(f'{title} layer "{producer.name}" produces later; move that layer to the front')

    def _make_blob(self, name: str, layer: LayerParameter, shape: Shape, *, in_place: bool = False) -> None:
        if name in self.producers and not in_place:
            raise NetError(
                f'blob "{name}" is produced by layers "{self.producers[name]}" and "{layer.name}"; '
                "rename one of the tops (only an in-place layer may write a blob that it reads)"
            )
        self.producers[name] = layer.name
        self.unread[name] = None
        self.uses[name] = []
        self.graph.shapes[name] = shape
        self.graph.slots.setdefault(name, len(self.graph.slots))

    def _check_in_place(self, name: str, layer: LayerParameter) -> None:
        """Check that an in-place layer is the only reader. Other readers get copies of the blob in Caffe.

        Source: BVLC/caffe src/caffe/util/insert_splits.cpp
        """
        first, *others = self.uses[name]
        if not others:
            return
        other = "it reads twice" if first == others[-1] else first  # the layer's own use is the last
        raise NetError(f'layer "{layer.name}" works in place on blob "{name}", which {other}; rename its top')

    def _name_automatic_top(self, parameter: LayerParameter, cls: type[Layer]) -> None:
        """Name the top of a loss layer without tops after the layer. The loss is part of the objective."""
        if parameter.top or not cls.default_loss_weight:
            return
        name = parameter.name or parameter.type
        while name in self.producers:
            name += "_loss"
        parameter.top.append(name)

    def _add_module(self, index: int, layer: Layer) -> str:
        if layer.blob_names and layer.name in self.holders:
            self.graph.notes.append(
                f'two layers with parameters are named "{layer.name}"; as in Caffe, weights are loaded into the first'
            )
        if layer.blob_names:
            self.holders.add(layer.name)
        key = (layer.name or f"{layer.type_name}_{index}").replace(".", "_")
        while key in self.graph.layers or hasattr(nn.ModuleDict, key):
            key += "_"
        self.graph.layers[key] = layer
        return key

    def _add_loss_weights(self, parameter: LayerParameter, cls: type[Layer]) -> None:
        weights = list(parameter.loss_weight)
        if weights and len(weights) != len(parameter.top):
            raise NetError(
                f'layer "{parameter.name}" has {len(weights)} loss_weight and {len(parameter.top)} tops; '
                "set none, or one per top"
            )
        if not weights and cls.default_loss_weight:
            weights = [cls.default_loss_weight]
        for top, weight in zip(parameter.top, weights, strict=False):
            if weight:
                self.graph.loss_weights[top] = weight
            if weight and parameter.loss_weight:
                self.uses[top].append("has a loss_weight")

    def _check_given(self) -> None:
        for name in self.given:
            if name not in self.graph.input_shapes:
                hint = did_you_mean(name, self.graph.input_shapes)
                raise NetError(f'input_shapes contains "{name}", which is not an input of the net{hint}')


def _check_propagate_down(parameter: LayerParameter) -> None:
    count = len(parameter.propagate_down)
    if count and count != len(parameter.bottom):
        raise NetError(
            f'layer "{parameter.name}" has {count} propagate_down and {len(parameter.bottom)} bottoms; '
            "set none, or one per bottom"
        )
