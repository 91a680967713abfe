"""Effects of in-place layers on the other blobs of a net that runs layer by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from prototxt_like.layers import Layer
from prototxt_like.net.graph import Step


class BlobMemory:
    """Memory that blobs share in Caffe, for blobs that are tensors of their own.

    Args:
        steps: Steps of the net.
        names: Name of every blob, in the order of the slots.
        data: Tensor of each blob by name; those that share memory with a written blob are modified.
    """

    def __init__(self, steps: Sequence[Step], names: Sequence[str], data: Mapping[str, Tensor]) -> None:
        self._names, self._data = names, data
        uses = [step.memory for step in steps if step.memory is not None]
        cells = [cell for use in uses for cell in (use.bottom_cell, use.top_cell, use.written_cell) if cell is not None]
        self._values: list[Any] = [None] * (max(cells, default=len(names) - 1) + 1)
        self.overwritten = {names[slot] for use in uses for slot in use.aliases}

    def run(self, step: Step, module: Layer, bottoms: Sequence[Tensor]) -> Any:
        """Run the layer of a step, and copy what it writes in place into the blobs that share its memory."""
        use = step.memory
        if use is None:
            return module(*bottoms)
        for slot in use.aliases:
            self._values[slot] = self._data[self._names[slot]]
        result = use.run(module, bottoms, self._values)
        with torch.no_grad():
            for slot in use.aliases:
                self._data[self._names[slot]].copy_(self._values[slot])
                self._values[slot] = None
        return result
