"""Steps of the forward pass: which slots a layer reads, writes and releases, and which gradients it cuts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prototxt_like.net.dynamic_shapes import DynamicShapeCheck
from prototxt_like.net.graph import NetGraph, Step
from prototxt_like.net.shared_memory import SharedMemory
from prototxt_like.schema.caffe_schema_pb2 import LayerParameter

Parts = Sequence[tuple[str, LayerParameter]]


def set_steps(graph: NetGraph, parts: Parts, checks: Mapping[str, DynamicShapeCheck], *, force_backward: bool) -> None:
    """Set the steps, cells and notes of a graph whose layers, slots and outputs are known.

    Args:
        graph: Graph to complete.
        parts: Module key and parameter of every layer, in execution order.
        checks: Shape checks at run time, by module key.
        force_backward: Whether ``propagate_down`` is ignored.
    """
    slots, steps = graph.slots, []
    used_later = {slots[name] for name in graph.outputs}
    for key, part in reversed(parts):
        bottoms = tuple(slots[name] for name in part.bottom)
        tops = tuple(slots[name] for name in part.top)
        free_after = tuple(sorted({*bottoms, *tops} - used_later))  # the last step that reads or writes the blob
        used_later |= {*bottoms, *tops}
        detach = _detached(part, parts, force_backward=force_backward)
        steps.append(Step(key, bottoms, tops, detach, free_after, checks.get(key)))
    steps.reverse()
    memory = SharedMemory(parts, graph.layers, slots)
    graph.steps = [step._replace(memory=use) for step, use in zip(steps, memory.uses(), strict=True)]
    graph.cell_count = memory.cell_count
    graph.notes += [*_gradient_notes(parts), *memory.notes()]


def _detached(part: LayerParameter, parts: Parts, *, force_backward: bool) -> tuple[int, ...]:
    """Return the positions of bottoms without a gradient. In Caffe, ``force_backward`` overrides the layers."""
    if _loses_gradient(part, parts):
        return (0,)
    if force_backward:
        return ()
    return tuple(index for index, propagates in enumerate(part.propagate_down) if not propagates)


def _loses_gradient(part: LayerParameter, parts: Parts) -> bool:
    """Return whether Caffe's Flatten replaces the gradient memory that a Parameter layer shares with its blob.

    Source: BVLC/caffe src/caffe/layers/flatten_layer.cpp, Backward_cpu
    """
    if part.type != "Flatten":
        return False
    blob = part.bottom[0]
    makers = [other.type for _, other in parts if blob in other.top]
    readers = sum(list(other.bottom).count(blob) for _, other in parts)
    return readers == 1 and makers == ["Parameter"]


def _gradient_notes(parts: Parts) -> list[str]:
    return [
        f'layer "{part.name}" (Flatten) directly behind a Parameter: as in Caffe, the parameter receives no gradient; '
        "use a Reshape to train it"
        for _, part in parts
        if _loses_gradient(part, parts)
    ]
