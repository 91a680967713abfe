"""pycaffe's Net: live blobs, forward and backward from layer to layer, surgery on parameters."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from prototxt_like import glog
from prototxt_like.io.files import read_net
from prototxt_like.io.hdf5_snapshots import write_hdf5_weights
from prototxt_like.net.caffemodel import load_weights, save_weights, to_proto
from prototxt_like.net.layerwise import LayerwiseNet
from prototxt_like.net.net import Net as TorchNet
from prototxt_like.net.weight_sharing import share_trained_layers
from prototxt_like.pycaffe.batches import BatchMethods
from prototxt_like.pycaffe.blob import Blob
from prototxt_like.pycaffe.layer_handle import LayerHandle, parameter_blobs
from prototxt_like.schema.caffe_schema_pb2 import NetParameter, Phase
from prototxt_like.sources.fed_net import FedNet

Blobs = OrderedDict[str, Blob]
PathLike = str | os.PathLike[str]


class Net(BatchMethods):
    """Net of pycaffe, on the CPU.

    Args:
        network_file: Path of a prototxt.
        phase: ``caffe.TRAIN`` or ``caffe.TEST``; or, in the older form, the path of a caffemodel before the phase.
        level: Level for include and exclude rules; in the older form the phase.
        stages: Stages for include and exclude rules.
        weights: Path of a caffemodel.

    Raises:
        FileError: If a file cannot be read.
        NetError: If the net cannot be built.
    Source: BVLC/caffe python/caffe/_caffe.cpp, python/caffe/pycaffe.py
    """

    def __init__(
        self,
        network_file: PathLike,
        phase: int | PathLike,
        level: int = 0,
        stages: Sequence[str] | None = None,
        weights: PathLike | None = None,
    ) -> None:
        if not isinstance(phase, int):
            weights, phase, level = phase, level, 0
        path = Path(network_file)
        message = read_net(path)
        self._build(FedNet(message, Phase.Name(phase), level=level, stages=stages or (), folder=path.parent))
        if weights is not None:
            self.copy_from(weights)

    @classmethod
    def from_message(cls, message: NetParameter, phase: str, **options: Any) -> Net:
        """Build a net from a message; options are those of ``FedNet``."""
        net = cls.__new__(cls)
        net._build(FedNet(message, phase, **options))
        return net

    def _build(self, fed: FedNet) -> None:
        self._fed = fed
        self._layerwise = LayerwiseNet(fed.net, fed.next_batch if fed.sources else None)
        self._layer_names = [layer.name for layer in self._layerwise.layers]
        self._blob_names = list(fed.net.shapes)
        self._callbacks: dict[str, list[Callable[[int], object]]] = {
            f"{when}_{way}": [] for when in ("before", "after") for way in ("forward", "backward")
        }
        self._blobs: Blobs = OrderedDict((name, self._blob(name)) for name in self._blob_names)
        self._memory_data: tuple[np.ndarray, np.ndarray] | None = None

    # Structure ----------------------------------------------------------------------------------------------------

    @property
    def torch_net(self) -> TorchNet:
        """Net as a torch module; its parameters share memory with ``params``."""
        return self._layerwise.net

    @property
    def name(self) -> str:
        """Name of the net."""
        return self.torch_net.name

    @property
    def blobs(self) -> Blobs:
        """Blobs by name, from input to output."""
        return self._blobs

    @property
    def blob_loss_weights(self) -> OrderedDict[str, float]:
        """Loss weight of each blob by name."""
        return OrderedDict((name, self.torch_net.loss_weights.get(name, 0.0)) for name in self._blob_names)

    @property
    def params(self) -> OrderedDict[str, list[Blob]]:
        """Parameter blobs by layer name. Layers without parameters are omitted."""
        return OrderedDict(
            (name, layer.blobs) for name, layer in zip(self._layer_names, self.layers, strict=True) if layer.blobs
        )

    @property
    def layers(self) -> list[LayerHandle]:
        """Layers in order, inputs and data layers included."""
        return [
            LayerHandle(layer.type, parameter_blobs(self._layerwise, index))
            for index, layer in enumerate(self._layerwise.layers)
        ]

    @property
    def layer_dict(self) -> OrderedDict[str, LayerHandle]:
        """Layers by name."""
        return OrderedDict(zip(self._layer_names, self.layers, strict=True))

    @property
    def inputs(self) -> list[str]:
        """Names of the blobs of Input layers."""
        return [top for layer in self._layerwise.layers if layer.type == "Input" for top in layer.top]

    @property
    def outputs(self) -> list[str]:
        """Names of the blobs that no layer consumes, sorted as in Caffe."""
        return sorted(self.torch_net.outputs)

    @property
    def top_names(self) -> OrderedDict[str, list[str]]:
        """Names of the tops by layer name."""
        return OrderedDict(zip(self._layer_names, self._layerwise.tops, strict=True))

    @property
    def bottom_names(self) -> OrderedDict[str, list[str]]:
        """Names of the bottoms by layer name."""
        return OrderedDict((name, self._layerwise.bottoms(index)) for index, name in enumerate(self._layer_names))

    # Passes -------------------------------------------------------------------------------------------------------

    def forward(
        self,
        blobs: Sequence[str] | None = None,
        start: str | None = None,
        end: str | None = None,
        **kwargs: np.ndarray,
    ) -> dict[str, np.ndarray]:
        """Run the layers ``start`` to ``end``, both included.

        Args:
            blobs: Blobs to return in addition.
            start: Name of the first layer; None = the first of the net.
            end: Name of the last layer; None = the last of the net.
            kwargs: Inputs by name, in the shapes of their blobs.

        Returns:
            Live arrays of the outputs, or of the tops of ``end``, by name.

        Raises:
            ValueError: If the inputs are incomplete or differ in batch size.
        """
        self._set(kwargs, self.inputs, "data", "Input blob arguments do not match net inputs")
        names = self.outputs if end is None else self.top_names[end]
        self._forward(self._index(start, 0), self._index(end, len(self._layer_names) - 1))
        return {name: self.blobs[name].data for name in dict.fromkeys([*names, *(blobs or ())])}

    def backward(
        self,
        diffs: Sequence[str] | None = None,
        start: str | None = None,
        end: str | None = None,
        **kwargs: np.ndarray,
    ) -> dict[str, np.ndarray]:
        """Backpropagate from layer ``start`` down to ``end``, both included.

        Args:
            diffs: Blobs whose diff is returned in addition.
            start: Name of the first layer; None = the last of the net.
            end: Name of the last layer; None = the first of the net.
            kwargs: Diffs of the outputs by name; None = those of the losses.

        Returns:
            Live diffs of the inputs, or of the bottoms of ``end``, by name.
        """
        self._set(kwargs, self.outputs, "diff", "Top diff arguments do not match net outputs")
        names = self.inputs if end is None else self.bottom_names[end]
        self._backward(self._index(start, len(self._layer_names) - 1), self._index(end, 0))
        return {name: self.blobs[name].diff for name in dict.fromkeys([*names, *(diffs or ())])}

    def _forward(self, start: int, end: int) -> float:
        """Run layers by position, and return the loss."""
        loss, is_checked = 0.0, False
        for index in range(start, end + 1):
            if self._layerwise.modules[index] is not None and not is_checked:
                self.reshape()
                is_checked = True
            self._call("before_forward", index)
            self._fill_memory_data(index)
            loss += self._layerwise.forward_layer(index)
            self._call("after_forward", index)
        return loss

    def _backward(self, start: int, end: int) -> None:
        """Backpropagate through layers by position."""
        added: set[str] = set()
        for index in range(start, end - 1, -1):
            self._call("before_backward", index)
            self._layerwise.backward_layer(index, added)
            self._call("after_backward", index)

    def reshape(self) -> None:
        """Let all layers follow new shapes of the inputs. Parameters are kept.

        Raises:
            NetError: If a layer does not support them.
        """
        built = self.torch_net
        shapes = {name: self.blobs[name].shape for name in built.input_shapes}
        if shapes == dict(built.input_shapes):
            return
        net = TorchNet(built.proto, phase=built.phase, input_shapes=shapes, stages=(), level=None)
        share_trained_layers(net, built)
        self._layerwise.replace_net(net)

    def clear_param_diffs(self) -> None:
        """Set the gradients of all parameters to zero."""
        self._layerwise.clear_param_diffs()

    # Weights ------------------------------------------------------------------------------------------------------

    def save(self, filename: PathLike) -> None:
        """Write a caffemodel."""
        save_weights(self.torch_net, filename)

    def save_hdf5(self, filename: PathLike) -> None:
        """Write weights as HDF5."""
        write_hdf5_weights(to_proto(self.torch_net), filename)

    def copy_from(self, filename: PathLike) -> None:
        """Load the weights of layers with the same names from a caffemodel, binary or HDF5."""
        for name in load_weights(self.torch_net, filename).unused:
            glog.info("net.cpp:746", f"Ignoring source layer {name}")

    load_hdf5 = copy_from

    def share_with(self, other: Net) -> None:
        """Use the parameters of another net in the layers with the same names."""
        share_trained_layers(self.torch_net, other.torch_net)

    # Callbacks and data -------------------------------------------------------------------------------------------

    def before_forward(self, run: Callable[[int], object]) -> None:
        """Call a function with the position of each layer before it runs."""
        self._callbacks["before_forward"].append(run)

    def after_forward(self, run: Callable[[int], object]) -> None:
        """Call a function with the position of each layer after it has run."""
        self._callbacks["after_forward"].append(run)

    def before_backward(self, run: Callable[[int], object]) -> None:
        """Call a function with the position of each layer before it backpropagates."""
        self._callbacks["before_backward"].append(run)

    def after_backward(self, run: Callable[[int], object]) -> None:
        """Call a function with the position of each layer after it has backpropagated."""
        self._callbacks["after_backward"].append(run)

    def _call(self, event: str, index: int) -> None:
        for run in self._callbacks[event]:
            run(index)

    def _index(self, name: str | None, default: int) -> int:
        return default if name is None else self._layer_names.index(name)

    def _set(self, arrays: dict[str, np.ndarray], names: Iterable[str], field: str, problem: str) -> None:
        if arrays and set(arrays) != set(names):
            raise ValueError(f"{problem}: found {', '.join(arrays)}, expected {', '.join(names)}")
        for name, values in arrays.items():
            array = getattr(self.blobs[name], field)
            if len(values) != len(array):
                raise ValueError(f"{name} is not batch sized: found {len(values)}, expected {len(array)}")
            array[...] = values

    def _blob(self, name: str) -> Blob:
        layerwise = self._layerwise
        return Blob(
            lambda: layerwise.data[name], lambda: layerwise.diff[name], lambda shape: layerwise.resize(name, shape)
        )
