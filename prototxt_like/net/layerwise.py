"""Run a net one layer at a time, forward and backward, with blobs in fixed memory as in Caffe."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from prototxt_like.layers import Layer
from prototxt_like.net.blob_memory import BlobMemory
from prototxt_like.net.graph import Step
from prototxt_like.net.inputs import is_input
from prototxt_like.net.net import Net
from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


class _Record(NamedTuple):
    """Autograd graph of one layer: its inputs as leaves, and its results."""

    leaves: list[Tensor]
    results: list[Tensor]


class LayerwiseNet:
    """Net that runs layer by layer. Each blob has a fixed tensor for its data and one for its diff (gradient).

    Args:
        net: Net to run; its parameters are used, not copied.
        read_batch: Returns the tops of the data layers; called when the first of them runs. None = they keep their
            values.

    Attributes:
        layers: LayerParameter of each layer in order, inputs included.
        data: Tensor of each blob by name.
        diff: Gradient of each blob by name; that of a loss is its weight.
        param_diffs: Gradient of each parameter blob by ``id``; backward passes add to it.
    """

    def __init__(self, net: Net, read_batch: Callable[[], Mapping[str, Tensor]] | None = None) -> None:
        self.read_batch = read_batch
        self.data: dict[str, Tensor] = {}
        self.diff: dict[str, Tensor] = {}
        self.param_diffs: dict[int, Tensor] = {}
        self.replace_net(net)

    def replace_net(self, net: Net) -> None:
        """Continue with another net of the same layers, e.g. one that was built for other input shapes."""
        self.net = net
        self.layers: list[LayerParameter] = list(net.proto.layer)
        steps, names, modules = iter(net.steps), list(net.shapes), net.layers._modules
        self.modules: list[Layer | None] = []
        self.tops: list[list[str]] = []
        self._steps: list[Step | None] = []
        for layer in self.layers:
            step = None if is_input(layer) else next(steps)
            self.modules.append(None if step is None else modules[step.key])  # type: ignore[arg-type]
            self.tops.append(list(layer.top) if step is None else [names[slot] for slot in step.tops])
            self._steps.append(step)
        self._records: list[_Record | None] = [None] * len(self.layers)
        self._backward_blobs = self._find_backward_blobs()
        self._memory = BlobMemory(net.steps, names, self.data)
        in_place = {name for index, tops in enumerate(self.tops) for name in tops if name in self.bottoms(index)}
        self._overwritten = in_place | self._memory.overwritten
        for name, shape in net.shapes.items():
            self.resize(name, shape)

    def bottoms(self, index: int) -> list[str]:
        """Return the names of a layer's bottoms."""
        return list(self.layers[index].bottom)

    def resize(self, name: str, shape: tuple[int, ...]) -> None:
        """Give a blob new memory if its shape differs."""
        if name in self.data and tuple(self.data[name].shape) == tuple(shape):
            return
        device = next((blob.device for blobs in self.net.params.values() for blob in blobs), torch.device("cpu"))
        self.data[name] = torch.zeros(shape, device=device)
        self.diff[name] = torch.full(shape, self.net.loss_weights.get(name, 0.0), device=device)

    def forward(self, start: int = 0, end: int | None = None) -> float:
        """Run the layers ``start`` to ``end``, both included.

        Returns:
            Weighted sum of the losses of these layers.
        """
        last = len(self.layers) - 1 if end is None else end
        return sum(self.forward_layer(index) for index in range(start, last + 1))

    def backward(self, start: int | None = None, end: int = 0) -> None:
        """Backpropagate through the layers ``start`` down to ``end``, both included."""
        first = len(self.layers) - 1 if start is None else start
        added: set[str] = set()
        for index in range(first, end - 1, -1):
            self.backward_layer(index, added)

    def forward_layer(self, index: int) -> float:
        """Run one layer, and return the weighted sum of its losses."""
        module, step = self.modules[index], self._steps[index]
        if module is None or step is None:
            self._read_inputs(index)
            return 0.0
        leaves = [
            self._leaf(name, detached=position in step.detach) for position, name in enumerate(self.bottoms(index))
        ]
        with torch.enable_grad():
            result = self._memory.run(step, module, leaves)
        results = [result] if isinstance(result, Tensor) else list(result or ())
        self._records[index] = _Record(leaves, results)
        loss = 0.0
        for name, value in zip(self.tops[index], results, strict=True):
            self.resize(name, tuple(value.shape))
            with torch.no_grad():
                self.data[name].copy_(value)
            weight = self.net.loss_weights.get(name, 0.0)
            loss += weight * float(value.detach().sum()) if weight else 0.0
        return loss

    def backward_layer(self, index: int, added: set[str] | None = None) -> None:
        """Backpropagate through one layer, from the diffs of its tops to those of its bottoms and parameters.

        Args:
            index: Position of the layer; it must have run forward.
            added: Blobs whose diff has contributions of this backward pass. Those of other layers are added.
        """
        record, module = self._records[index], self.modules[index]
        if record is None or module is None:
            return
        pairs = [
            (value, self.diff[name].to(value.dtype))
            for name, value in zip(self.tops[index], record.results, strict=True)
            if value.requires_grad
        ]
        parameters = [blob for blob in module.blobs if blob.requires_grad]
        bottoms = [(name, leaf) for name, leaf in zip(self.bottoms(index), record.leaves, strict=True)
                   if leaf.requires_grad]  # fmt: skip
        inputs = [leaf for _, leaf in bottoms] + parameters
        if not pairs or not inputs:
            return
        values, diffs = zip(*pairs, strict=True)
        gradients = torch.autograd.grad(values, inputs, diffs, allow_unused=True, retain_graph=True)
        added = set() if added is None else added
        written: set[str] = set()
        for (name, _), gradient in zip(bottoms, gradients, strict=False):
            in_place = name in self.tops[index]
            self._add_diff(name, gradient, add=name in written or (name in added and not in_place))
            written.add(name)
        added |= written
        for parameter, gradient in zip(parameters, gradients[len(bottoms) :], strict=True):
            if gradient is not None:
                self.param_diff(parameter).add_(gradient)

    def param_diff(self, blob: Tensor) -> Tensor:
        """Return the gradient of a parameter blob; zeros before the first backward pass."""
        if id(blob) not in self.param_diffs:
            self.param_diffs[id(blob)] = torch.zeros_like(blob, requires_grad=False)
        return self.param_diffs[id(blob)]

    def clear_param_diffs(self) -> None:
        """Set the gradients of all parameters to zero."""
        for diff in self.param_diffs.values():
            diff.zero_()

    def _leaf(self, name: str, *, detached: bool) -> Tensor:
        """Return a blob as a leaf of a new graph. A blob that a layer overwrites is copied."""
        value = self.data[name].detach()
        value = value.clone() if name in self._overwritten else value
        return value.requires_grad_(name in self._backward_blobs and not detached)

    def _add_diff(self, name: str, gradient: Tensor | None, *, add: bool) -> None:
        diff = self.diff[name]
        if gradient is None:
            diff.zero_() if not add else None
        elif add:
            diff.add_(gradient)
        else:
            diff.copy_(gradient)

    def _read_inputs(self, index: int) -> None:
        first = next(i for i, module in enumerate(self.modules) if module is None)
        if self.read_batch is None or index != first:
            return
        for name, value in self.read_batch().items():
            self.resize(name, tuple(value.shape))
            self.data[name].copy_(value)

    def _find_backward_blobs(self) -> set[str]:
        """Return the blobs that need a gradient: those that depend on a trained parameter, or all."""
        if self.net.proto.force_backward:
            return set(self.net.shapes)
        found: set[str] = set()
        for index, module in enumerate(self.modules):
            if module is None:
                continue
            needs = any(blob.requires_grad for blob in module.blobs) or not found.isdisjoint(self.bottoms(index))
            found |= set(self.tops[index]) if needs else set()
        return found
