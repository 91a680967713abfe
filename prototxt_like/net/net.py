"""Caffe net as a torch module."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from prototxt_like.errors import NetError, ShapeMismatch, UnknownLayerType
from prototxt_like.io.files import read_net
from prototxt_like.io.positions import layer_position
from prototxt_like.io.upgrade import upgraded
from prototxt_like.layers import Layer
from prototxt_like.limits import MAX_VALUES, BuildContext, format_shape
from prototxt_like.net.blob_layouts import follow_blob_counts
from prototxt_like.net.filter import filter_net, make_net_state
from prototxt_like.net.forward import run_steps
from prototxt_like.net.fusion import fuse_batch_norm_scale
from prototxt_like.net.graph import Step
from prototxt_like.net.graph_builder import build_graph
from prototxt_like.net.inputs import Shape
from prototxt_like.net.reshape import ReshapeCheck, is_traced
from prototxt_like.net.trained_layers import copy_trained_layers
from prototxt_like.schema.caffe_schema_pb2 import NetParameter
from prototxt_like.suggest import did_you_mean


class LearnableParam(NamedTuple):
    """Learnable parameter with its multipliers."""

    parameter: nn.Parameter
    lr_mult: float
    decay_mult: float


class Net(nn.Module):
    """Net of one phase, built from a prototxt.

    Layers run in file order, and every blob equals Caffe's. The batch size may change between calls, if the layers
    support it; they are checked when a batch size occurs for the first time. All other input sizes are fixed at build
    time. ``phase`` sets the initial mode: ``train()`` and ``eval()`` switch Dropout and BatchNorm as in any torch
    module, but the set of layers (losses, accuracy, crops) remains that of the phase.

    Args:
        net: NetParameter, or path of a prototxt or caffemodel. Blobs in it are used as weights if ``weights`` is None.
        weights: Path of a caffemodel, or a NetParameter with blobs; see ``load_weights``.
        phase: "TRAIN" or "TEST".
        stages: Stages for include and exclude rules.
        level: Level for include and exclude rules; None = the net's own level, or 0.
        input_shapes: Input shapes by blob name, including the batch axis. Required for data layers whose shape the
            net does not define, optional for all other inputs.
        max_values: Maximum number of values per blob and in all parameter blobs together. Larger nets are rejected
            before memory is allocated.

    Raises:
        FileError: If the file cannot be read or is not a net.
        NetError: If the net cannot be built. The message contains the layer.
        WeightsError: If the weights do not match the net.
    Source: BVLC/caffe src/caffe/net.cpp
    """

    def __init__(
        self,
        net: NetParameter | str | os.PathLike[str],
        weights: NetParameter | str | os.PathLike[str] | None = None,
        phase: str = "TEST",
        *,
        stages: Sequence[str] = (),
        level: int | None = None,
        input_shapes: Mapping[str, Sequence[int]] | None = None,
        max_values: int = MAX_VALUES,
    ) -> None:
        super().__init__()
        message = _message(net)
        self.proto: NetParameter = filter_net(message, make_net_state(message, phase, level, stages))
        self.name: str = message.name
        self.max_values = max_values
        self.phase = phase
        trained = None if weights is None else _message(weights)
        if trained is None and any(layer.blobs for layer in message.layer):
            trained = message  # a caffemodel contains a net and its weights
        for layer in self.proto.layer:
            layer.ClearField("blobs")
        if trained is not None:
            follow_blob_counts(self.proto, trained)
        try:
            self._graph = build_graph(self.proto, phase, input_shapes or {}, trained, BuildContext(max_values))
        except UnknownLayerType as error:
            if isinstance(net, NetParameter):
                raise
            position = layer_position(net, error.layer_name)
            raise UnknownLayerType(f"{position}: {error}", error.layer_name) from None
        self.layers = nn.ModuleDict(self._graph.layers)
        self.training = phase == "TRAIN"
        self._fused_steps = fuse_batch_norm_scale(self._graph.steps, self._graph.layers)
        self._reshape_check = ReshapeCheck(self.proto, phase, self._graph)
        if trained is not None:
            self._graph.notes += copy_trained_layers(self.caffe_layers, trained).notes()

    def forward(self, *positional: Tensor, **inputs: Tensor) -> dict[str, Tensor]:
        """Run the net.

        Args:
            positional: Inputs in the order of ``self.inputs``.
            inputs: Inputs by name.

        Returns:
            Blobs that no layer consumes and blobs with a loss weight, by name.

        Raises:
            NetError: If an input is missing or unknown.
            ShapeMismatch: If an input differs from the shape of the build, or the batch sizes of the inputs differ.
        """
        graph = self._graph
        values = run_steps(self.layers._modules, self._fill_slots(positional, inputs), self._fused_steps)
        return {name: value for name in graph.outputs if (value := values[graph.slots[name]]) is not None}

    def blobs(self, *positional: Tensor, **inputs: Tensor) -> dict[str, Tensor]:
        """Run the net and return every named blob.

        A blob that in-place layers modify has its final value. Args and Raises are those of ``forward``.
        """
        graph = self._graph
        steps = [step._replace(free_after=()) for step in graph.steps]
        values = run_steps(self.layers._modules, self._fill_slots(positional, inputs), steps)
        return {name: value for name, slot in graph.slots.items() if (value := values[slot]) is not None}

    def total_loss(self, outputs: Mapping[str, Tensor]) -> Tensor:
        """Return the objective: the weighted sum of all losses.

        Args:
            outputs: Return value of ``forward``.

        Raises:
            NetError: If the net has no loss.
        """
        terms = [outputs[name].sum() * weight for name, weight in self.loss_weights.items()]
        if not terms:
            raise NetError(f'net "{self.name}" has no loss in phase {self.phase}; build it with phase="TRAIN"')
        return torch.stack(terms).sum() if len(terms) > 1 else terms[0]

    @property
    def inputs(self) -> list[str]:
        """Names of the inputs, in the order of the net."""
        return list(self._graph.input_shapes)

    @property
    def input_shapes(self) -> dict[str, Shape]:
        """Shapes of the inputs at build time, by name."""
        return self._graph.input_shapes

    @property
    def outputs(self) -> list[str]:
        """Names of the blobs that ``forward`` returns."""
        return self._graph.outputs

    @property
    def shapes(self) -> dict[str, Shape]:
        """Shape of every named blob, at the batch size of the build."""
        return self._graph.shapes

    @property
    def loss_weights(self) -> dict[str, float]:
        """Weights of the blobs that are part of the objective, by name."""
        return self._graph.loss_weights

    @property
    def notes(self) -> list[str]:
        """Sentences about behavior of Caffe that the file does not show, e.g. in-place layers on shared memory."""
        return self._graph.notes

    @property
    def params(self) -> dict[str, list[Tensor]]:
        """Parameter blobs by layer name, in Caffe's order. Layers without blobs are omitted."""
        return {layer.name: layer.blobs for layer in self.caffe_layers if layer.blob_names}

    @property
    def learnable_params(self) -> list[LearnableParam]:
        """Learnable parameters with their multipliers, in the order of the net, each once."""
        return [
            LearnableParam(getattr(self.layers[spec.key], spec.blob), spec.lr_mult, spec.decay_mult)
            for spec in self._graph.learnable_params
        ]

    @property
    def caffe_layers(self) -> list[Layer]:
        """Layers in execution order, without inputs."""
        return list(self.layers.values())  # type: ignore[arg-type]

    @property
    def steps(self) -> list[Step]:
        """Steps of the forward pass, one per layer that is not an input; slots are positions in `shapes`."""
        return self._graph.steps

    def _fill_slots(self, positional: tuple[Tensor, ...], inputs: dict[str, Tensor]) -> list[Any]:
        if positional:
            inputs = self._by_name(positional, inputs)
        graph = self._graph
        for name in inputs:
            if name not in graph.input_shapes:
                raise NetError(f'the net has no input "{name}"{did_you_mean(name, self.inputs)}')
        values: list[Any] = [None] * (len(graph.slots) + graph.cell_count)
        shapes: list[Shape] = []
        for name, built in graph.input_shapes.items():
            value = inputs.get(name)
            if value is not None:
                values[graph.slots[name]] = value
            elif name in graph.required:
                raise NetError(f'input "{name}" is missing; pass all inputs of the net: {", ".join(self.inputs)}')
            shapes.append(built if value is None else value.shape)  # no layer reads an optional input
        self._check_shapes(tuple(shapes))
        return values

    def _check_shapes(self, shapes: tuple[Shape, ...]) -> None:
        """Reject input shapes that a layer does not support. Shapes are in the order of the inputs."""
        if not torch.compiler.is_compiling() and self._reshape_check.is_known(shapes):
            return
        for (name, built), shape in zip(self.input_shapes.items(), shapes, strict=True):
            if len(shape) != len(built) or shape[1:] != built[1:]:
                self._fail_input(name, shape)
        if not is_traced(shapes):
            self._reshape_check.check(shapes)

    def _by_name(self, positional: tuple[Tensor, ...], inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        if len(positional) > len(self.inputs):
            expected = f"{len(self.inputs)}: {', '.join(self.inputs)}"
            raise NetError(f"too many inputs: found {len(positional)}, expected at most {expected}")
        named = dict(zip(self.inputs, positional, strict=False))
        duplicates = sorted(named.keys() & inputs.keys())
        if duplicates:
            raise NetError(f'input "{duplicates[0]}" is passed by position and by name; pass it once')
        return {**named, **inputs}

    def _fail_input(self, name: str, shape: Shape) -> None:
        expected = " x ".join(["N", *map(str, self.input_shapes[name][1:])]) if self.input_shapes[name] else "()"
        raise ShapeMismatch(
            f'input "{name}" has the wrong shape: found {format_shape(shape)}, expected {expected}; '
            f'for another size, build the net with input_shapes={{"{name}": (...)}}'
        )


def _message(net: NetParameter | str | os.PathLike[str]) -> NetParameter:
    return upgraded(net) if isinstance(net, NetParameter) else read_net(net)
