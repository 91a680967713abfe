"""Structure of a built net: layers, steps of the forward pass, shapes and parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from prototxt_like.layers import Layer
from prototxt_like.net.inputs import Shape
from prototxt_like.net.memory_use import MemoryUse
from prototxt_like.net.param_sharing import ParameterSpec


class Step(NamedTuple):
    """One step of the forward pass. Blobs are numbered slots."""

    key: str
    bottoms: tuple[int, ...]
    tops: tuple[int, ...]
    #: Positions of the bottoms that receive no gradient.
    detach: tuple[int, ...]
    #: Slots that no later step reads.
    free_after: tuple[int, ...]
    #: Callable that replaces the layer, called with all modules by key and the bottoms; see prototxt_like.net.fusion.
    fused: Callable[..., Any] | None = None
    #: Effects on memory that blobs share in Caffe.
    memory: MemoryUse | None = None


@dataclass
class NetGraph:
    """Structure of a built net.

    Args:
        layers: Layers by module key, in execution order.
        steps: Steps of the forward pass.
        slots: Slot number of each named blob.
        shapes: Shape of each named blob at the batch size of the build.
        input_shapes: Shapes of the inputs, in the order of the net.
        required: Inputs that at least one layer reads.
        outputs: Blobs that no layer consumes, and blobs with a loss weight.
        loss_weights: Loss weights of the blobs that are part of the objective.
        learnable_params: Learnable parameters, each once.
        cell_count: Number of cells for overwritten memory, which follow the slots.
        notes: Sentences about behavior of Caffe that the file does not show.
    """

    layers: dict[str, Layer] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    slots: dict[str, int] = field(default_factory=dict)
    shapes: dict[str, Shape] = field(default_factory=dict)
    input_shapes: dict[str, Shape] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    outputs: list[str] = field(default_factory=list)
    loss_weights: dict[str, float] = field(default_factory=dict)
    learnable_params: list[ParameterSpec] = field(default_factory=list)
    cell_count: int = 0
    notes: list[str] = field(default_factory=list)
