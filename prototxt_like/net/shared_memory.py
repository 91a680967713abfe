"""Memory that several blobs share in Caffe, and what in-place layers do to it.

In Caffe, the tops of some layers are views of their bottom, and an in-place layer overwrites memory that other blobs
and the backward passes of earlier layers still read. Here every blob is a tensor of its own, so the builder lists which
blobs change with which step, and which gradients are computed from overwritten values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prototxt_like.layers import Layer
from prototxt_like.net.memory_use import MemoryUse
from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


class SharedMemory:
    """Memory of every blob, and the steps that overwrite it.

    Args:
        parts: Layers in execution order.
        layers: Built layers by module key.
        slots: Slot of each named blob.
    """

    def __init__(
        self, parts: Sequence[tuple[str, LayerParameter]], layers: Mapping[str, Layer], slots: Mapping[str, int]
    ) -> None:
        self._parts, self._layers, self._slots = parts, layers, slots
        self._memory: dict[str, int] = {}
        self._cells: dict[int, int] = {}
        for key, part in parts:
            self._place(layers[key], part)
        self._writes = [self._written_position(part) for _, part in parts]
        self._writers: dict[int, list[int]] = {}  # memory -> steps that overwrite it
        for index, position in enumerate(self._writes):
            if position is not None:
                self._writers.setdefault(self._memory[parts[index][1].top[position]], []).append(index)

    @property
    def cell_count(self) -> int:
        """Number of cells that the steps use."""
        return len(self._cells)

    def uses(self) -> list[MemoryUse | None]:
        """Return the effects of every step, None for steps without any."""
        reads = [self._overwritten_reads(index) for index in range(len(self._parts))]
        found: list[MemoryUse | None] = []
        for index, (key, part) in enumerate(self._parts):
            position = self._writes[index]
            written = None if position is None else self._memory[part.top[position]]
            use = MemoryUse(
                self._layers[key],
                *reads[index],
                written_cell=None if written is None else self._cells.get(written),
                position=position or 0,
                aliases=() if position is None else self._aliases(index, part.top[position]),
            )
            found.append(None if use == MemoryUse(use.layer, position=use.position) else use)
        return found

    def notes(self) -> list[str]:
        """Return one sentence for every step whose values or gradients depend on overwritten memory."""
        names = {slot: name for name, slot in self._slots.items()}
        found = []
        for index, ((key, _), use) in enumerate(zip(self._parts, self.uses(), strict=True)):
            title = self._layers[key].display_name
            if use is not None and use.aliases:
                shared = ", ".join(f'"{names[slot]}"' for slot in use.aliases)
                found.append(
                    f"{title} works in place on a blob that shares memory with {shared}; as in Caffe, it changes both"
                )
            if use is not None and (use.bottom_cell is not None or use.top_cell is not None):
                found.append(
                    f"{title}: as in Caffe, its gradient is computed from values that an in-place layer has "
                    "overwritten; rename the top of that layer for the exact gradient"
                )
            elif self._reads_alias_too_early(index):
                found.append(
                    f"{title} reads a blob that an in-place layer overwrites later: its gradient differs from "
                    "Caffe's, which uses the overwritten values"
                )
            if self._writes[index] is not None and self._layers[key].in_place_note:
                found.append(f"{title} works in place: {self._layers[key].in_place_note}")
        return found

    def _place(self, layer: Layer, part: LayerParameter) -> None:
        for name in part.bottom:
            self._memory.setdefault(name, len(self._memory))
        for name in part.top:
            if layer.shares_memory:
                self._memory[name] = self._memory[part.bottom[0]]
            else:
                self._memory.setdefault(name, len(self._memory))

    def _written_position(self, part: LayerParameter) -> int | None:
        pairs = enumerate(zip(part.bottom, part.top, strict=False))
        return next((position for position, (bottom, top) in pairs if bottom == top), None)

    def _aliases(self, index: int, written: str) -> tuple[int, ...]:
        """Return the other blobs in the memory of a blob that exist when step ``index`` runs."""
        known = [name for _, part in self._parts[: index + 1] for name in (*part.bottom, *part.top)]
        names = dict.fromkeys(name for name in known if self._memory[name] == self._memory[written])
        return tuple(self._slots[name] for name in names if name != written)

    def _overwritten_reads(self, index: int) -> tuple[int | None, int | None]:
        """Return the cells of bottom and top that are overwritten before the backward pass of a step reads them."""
        key, part = self._parts[index]
        layer = self._layers[key]
        cells: list[int | None] = []
        for what, names in (("bottom", part.bottom), ("top", part.top)):
            changed = what in layer.backward_reads and self._changes(layer, index, self._memory[names[0]], what)
            cells.append(self._new_cell(self._memory[names[0]]) if changed else None)
        return cells[0], cells[1]

    def _changes(self, layer: Layer, index: int, memory: int, what: str) -> bool:
        if what == "bottom" and self._writes[index] is not None and not layer.in_place_gradient_is_exact:
            return True
        later = [self._layers[self._parts[step][0]] for step in self._writers.get(memory, []) if step > index]
        return not all(layer.reads_sign_only and writer.keeps_sign for writer in later)

    def _reads_alias_too_early(self, index: int) -> bool:
        """Return whether a layer without a formula for overwritten values reads memory through another blob."""
        key, part = self._parts[index]
        layer = self._layers[key]
        if layer.backward_reads or layer.shares_memory or not layer.reads_bottom_values:
            return False
        writers = [step for name in part.bottom for step in self._writers.get(self._memory[name], []) if step > index]
        return any(not set(self._parts[step][1].top) & set(part.bottom) for step in writers)

    def _new_cell(self, memory: int) -> int:
        return self._cells.setdefault(memory, len(self._slots) + len(self._cells))
