"""Effects of one step of the forward pass on memory that several blobs share in Caffe."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from prototxt_like.layers import Layer


@dataclass(frozen=True)
class MemoryUse:
    """Effects of one step on shared memory.

    A cell is an additional slot that holds a list with the last value that an in-place layer wrote into some memory.

    Args:
        layer: Layer of the step.
        bottom_cell: Cell of the memory of the bottom if it is overwritten before the backward pass reads it.
        top_cell: The same for the top.
        written_cell: Cell of the memory that the step overwrites.
        position: Index of the top that overwrites memory.
        aliases: Slots of other blobs in the overwritten memory.
    """

    layer: Layer
    bottom_cell: int | None = None
    top_cell: int | None = None
    written_cell: int | None = None
    position: int = 0
    aliases: tuple[int, ...] = ()

    def run(self, call: Callable[..., Any], bottoms: Sequence[Tensor], values: list[Any]) -> Any:
        """Run the step and update the memory.

        Args:
            call: Forward function of the step.
            bottoms: Values of the bottoms.
            values: Values of all slots and cells; modified.
        """
        if self._follows_caffe(bottoms):
            cells = _cell(values, self.bottom_cell), _cell(values, self.top_cell)
            result = _OverwrittenGradient.apply(self.layer, cells, *bottoms)
        else:
            result = call(*bottoms)
        written = result[self.position] if isinstance(result, tuple) else result
        if self.written_cell is not None:
            _cell(values, self.written_cell)[:] = [written.detach()]
        for slot in self.aliases:
            if values[slot] is not None:
                values[slot] = _overwritten(values[slot], written)
        return result

    def _follows_caffe(self, bottoms: Sequence[Tensor]) -> bool:
        overwritten = self.bottom_cell is not None or self.top_cell is not None
        if not overwritten or torch.compiler.is_compiling() or not torch.is_grad_enabled():
            return False
        return any(bottom.requires_grad for bottom in bottoms)


class _OverwrittenGradient(torch.autograd.Function):
    """Forward pass of a layer, with Caffe's gradient from the values that are in memory at the end."""

    @staticmethod
    def forward(ctx: Any, layer: Layer, cells: tuple[list[Tensor] | None, ...], x: Tensor) -> Tensor:
        with torch.no_grad():
            top = layer(x)
        ctx.layer, ctx.cells = layer, cells
        ctx.save_for_backward(x, top)
        return top

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, None, Tensor]:
        x, top = ctx.saved_tensors
        final = [cell[0].reshape(x.shape) if cell else None for cell in ctx.cells]
        seen_bottom, seen_top = (x if final[0] is None else final[0]), (top if final[1] is None else final[1])
        return None, None, ctx.layer.caffe_gradient(x, seen_bottom, seen_top, gradient)


class _Overwritten(torch.autograd.Function):
    """New value of a blob whose memory another layer has written; the gradient flows to the old value."""

    @staticmethod
    def forward(ctx: Any, old: Tensor, new: Tensor) -> Tensor:
        return new.reshape(old.shape).clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None


def _overwritten(old: Tensor, new: Tensor) -> Tensor:
    if torch.is_grad_enabled() and (old.requires_grad or new.requires_grad):
        value: Tensor = _Overwritten.apply(old, new.detach())
        return value
    return new.reshape(old.shape)


def _cell(values: list[Any], index: int | None) -> Any:
    if index is None:
        return None
    if values[index] is None:
        values[index] = []
    return values[index]
