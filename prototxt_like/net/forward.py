"""One forward pass over the steps of a net."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from prototxt_like.net.graph import Step


def run_steps(modules: Mapping[str, Any], values: list[Any], steps: Sequence[Step]) -> list[Any]:
    """Run the steps in order. A flat loop, because Python calls dominate the time of small nets.

    Args:
        modules: Layers of the net by module key.
        values: Value of every slot; inputs are set, all others are None. Modified.
        steps: Steps of the forward pass.

    Returns:
        ``values``, with the values of all blobs that are not released.
    """
    for key, bottoms, tops, detach, free_after, fused, memory in steps:
        arguments: list[Any] = [values[slot] for slot in bottoms]
        for index in detach:
            arguments[index] = arguments[index].detach()
        if memory is not None:
            call = modules[key] if fused is None else partial(fused, modules)
            result = memory.run(call, arguments, values)
        else:
            result = modules[key](*arguments) if fused is None else fused(modules, *arguments)
        if len(tops) == 1:
            values[tops[0]] = result
        else:
            for slot, top in zip(tops, result or (), strict=True):
                values[slot] = top
        for slot in free_after:
            values[slot] = None
    return values
