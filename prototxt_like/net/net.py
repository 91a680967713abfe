"""A Caffe net as a torch module: layers run in the order of the file, blobs are found by name."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from prototxt_like.errors import NetError, ShapeMismatch
from prototxt_like.io.files import read_net
from prototxt_like.io.upgrade import upgraded
from prototxt_like.layers import Layer
from prototxt_like.limits import MAX_VALUES, BuildContext, format_shape
from prototxt_like.net.filter import filter_net, make_net_state
from prototxt_like.net.fusion import fuse_batch_norm_scale
from prototxt_like.net.graph import Step, build_graph
from prototxt_like.net.inputs import Shape
from prototxt_like.net.reshape import ReshapeCheck
from prototxt_like.net.trained_layers import copy_trained_layers
from prototxt_like.schema.caffe_schema_pb2 import NetParameter
from prototxt_like.suggest import did_you_mean


class LearnableParam(NamedTuple):
    """One learnable parameter and how a solver treats it."""

    parameter: nn.Parameter
    lr_mult: float
    decay_mult: float


class Net(nn.Module):
    """A net out of a prototxt, for one phase.

    Every blob equals Caffe's. The batch axis of the inputs is free, as far as the layers agree to it, which they are
    asked when a batch of another size comes for the first time; the inputs' other sizes are those the net was built
    for. The phase is where the net starts: ``train()`` and ``eval()`` switch Dropout and BatchNorm as in every
    torch module, while the layers themselves (losses, accuracy, crops) stay those of the phase.

    Args:
        net: a NetParameter, or the path of a prototxt or caffemodel; blobs in it are its weights where no others are
            given.
        weights: a caffemodel's path or a NetParameter with blobs; loaded as ``load_weights`` does.
        phase: "TRAIN" or "TEST".
        stages: names that include and exclude rules may ask for.
        level: level that include and exclude rules may ask for; None = the one that the net names, or 0.
        input_shapes: shapes of inputs by name, batch axis included; needed for data layers whose shape the net
            does not tell, and allowed for any input.
        max_values: values in one blob, and in all parameter blobs together, above which a net is refused before
            memory is taken.

    Raises:
        FileError: the file cannot be read, or is no net.
        NetError: the net cannot be built; the message names the layer.
        WeightsError: the weights do not fit.
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
            trained = message  # a caffemodel is a net and its weights in one
        for layer in self.proto.layer:
            layer.ClearField("blobs")
        self._graph = build_graph(self.proto, phase, input_shapes or {}, trained, BuildContext(max_values))
        self.layers = nn.ModuleDict(self._graph.layers)
        self.training = phase == "TRAIN"
        self._fused_steps = fuse_batch_norm_scale(self._graph.steps, self._graph.layers)
        self._reshape_check = ReshapeCheck(self.proto, phase, self._graph)
        if trained is not None:
            copy_trained_layers(self.caffe_layers, trained)

    def forward(self, *positional: Tensor, **inputs: Tensor) -> dict[str, Tensor]:
        """Run the net.

        Args:
            positional: inputs in the order of ``self.inputs``.
            inputs: inputs by name.

        Returns:
            The blobs that no layer consumes, and those that have a loss weight, by name.

        Raises:
            NetError: an input is missing or unknown.
            ShapeMismatch: an input's shape is not the one the net was built for, or the sizes of the inputs do not
                fit one another.
        """
        graph = self._graph
        values = self._run(self._fill_slots(positional, inputs), self._fused_steps)
        return {name: value for name in graph.outputs if (value := values[graph.slots[name]]) is not None}

    def blobs(self, *positional: Tensor, **inputs: Tensor) -> dict[str, Tensor]:
        """Run the net and return every named blob.

        A blob that in-place layers change holds its last value. Args and Raises are those of ``forward``.
        """
        graph = self._graph
        values = self._run(self._fill_slots(positional, inputs), [step._replace(free_after=()) for step in graph.steps])
        return {name: value for name, slot in graph.slots.items() if (value := values[slot]) is not None}

    def total_loss(self, outputs: Mapping[str, Tensor]) -> Tensor:
        """The objective: every loss times its weight, summed.

        Args:
            outputs: what ``forward`` returned.

        Raises:
            NetError: the net has no loss.
        """
        terms = [outputs[name].sum() * weight for name, weight in self.loss_weights.items()]
        if not terms:
            raise NetError(f'net "{self.name}" has no loss in phase {self.phase}; build it for phase TRAIN')
        return torch.stack(terms).sum() if len(terms) > 1 else terms[0]

    @property
    def inputs(self) -> list[str]:
        """Names of the inputs, in the order of the net."""
        return list(self._graph.input_shapes)

    @property
    def input_shapes(self) -> dict[str, Shape]:
        """Shapes of the inputs for which the net was built, by name."""
        return self._graph.input_shapes

    @property
    def outputs(self) -> list[str]:
        """Names of the blobs that ``forward`` returns."""
        return self._graph.outputs

    @property
    def shapes(self) -> dict[str, Shape]:
        """Shape of every named blob, at the batch size for which the net was built."""
        return self._graph.shapes

    @property
    def loss_weights(self) -> dict[str, float]:
        """Weights of the blobs that are part of the objective, by name."""
        return self._graph.loss_weights

    @property
    def params(self) -> dict[str, list[Tensor]]:
        """Parameter blobs by layer name, in Caffe's order; layers without any are left out."""
        return {layer.name: layer.blobs for layer in self.caffe_layers if layer.blob_names}

    @property
    def learnable_params(self) -> list[LearnableParam]:
        """Learnable parameters in the order of the net, each once, with its multipliers."""
        return [
            LearnableParam(getattr(self.layers[spec.key], spec.blob), spec.lr_mult, spec.decay_mult)
            for spec in self._graph.learnable_params
        ]

    @property
    def caffe_layers(self) -> list[Layer]:
        """The layers in the order in which they run; inputs are not among them."""
        return list(self.layers.values())  # type: ignore[arg-type]

    def _fill_slots(self, positional: tuple[Tensor, ...], inputs: dict[str, Tensor]) -> list[Tensor | None]:
        if positional:
            inputs = self._by_name(positional, inputs)
        graph = self._graph
        for name in inputs:
            if name not in graph.input_shapes:
                raise NetError(f'the net has no input "{name}"{did_you_mean(name, self.inputs)}')
        values: list[Tensor | None] = [None] * len(graph.slots)
        shapes: list[Shape] = []
        for name, built in graph.input_shapes.items():
            value = inputs.get(name)
            if value is not None:
                values[graph.slots[name]] = value
            elif name in graph.required:
                raise NetError(f'input "{name}" is missing; the net\'s inputs are {", ".join(self.inputs)}')
            shapes.append(built if value is None else value.shape)  # nobody reads an input that may be left out
        self._check_shapes(tuple(shapes))
        return values

    def _check_shapes(self, shapes: tuple[Shape, ...]) -> None:
        """Refuse inputs for which a layer was not built, alone or together; shapes in the order of the inputs."""
        if not torch.compiler.is_compiling() and self._reshape_check.is_known(shapes):
            return
        for (name, built), shape in zip(self.input_shapes.items(), shapes, strict=True):
            if len(shape) != len(built) or shape[1:] != built[1:]:
                self._fail_input(name, shape)
        if not _is_traced(shapes):
            self._reshape_check.check(shapes)

    def _by_name(self, positional: tuple[Tensor, ...], inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        if len(positional) > len(self.inputs):
            raise NetError(f"{len(positional)} inputs given; the net has {len(self.inputs)}: {', '.join(self.inputs)}")
        named = dict(zip(self.inputs, positional, strict=False))
        twice = sorted(named.keys() & inputs.keys())
        if twice:
            raise NetError(f'input "{twice[0]}" is given twice, by position and by name')
        return {**named, **inputs}

    def _fail_input(self, name: str, shape: Shape) -> None:
        expected = " x ".join(["N", *map(str, self.input_shapes[name][1:])]) if self.input_shapes[name] else "()"
        raise ShapeMismatch(
            f'input "{name}" has the shape {format_shape(shape)}, expected {expected}; '
            f'for another size build the net with input_shapes={{"{name}": (...)}}'
        )

    def _run(self, values: list[Tensor | None], steps: list[Step]) -> list[Tensor | None]:
        """One forward pass; a flat loop, because a small net feels every call that Python makes."""
        modules = self.layers._modules
        for key, bottoms, tops, detach, free_after, fused in steps:
            taken: list[Any] = [values[slot] for slot in bottoms]
            for index in detach:
                taken[index] = taken[index].detach()
            made = modules[key](*taken) if fused is None else fused(modules, *taken)
            if len(tops) == 1:
                values[tops[0]] = made
            else:
                for slot, top in zip(tops, made or (), strict=True):
                    values[slot] = top
            for slot in free_after:
                values[slot] = None
        return values


def _is_traced(shapes: tuple[Shape, ...]) -> bool:
    """Whether a graph is being recorded, for other sizes too: they may be symbols, which cannot be asked for values."""
    if torch.compiler.is_compiling() or torch.jit.is_tracing():
        return True
    return any(isinstance(size, torch.SymInt) for shape in shapes for size in shape[:1])


def _message(net: NetParameter | str | os.PathLike[str]) -> NetParameter:
    return upgraded(net) if isinstance(net, NetParameter) else read_net(net)
