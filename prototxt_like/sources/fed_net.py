"""Net that reads its own batches, as in Caffe."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from prototxt_like.errors import NetError
from prototxt_like.io.upgrade import upgraded
from prototxt_like.net.filter import filter_net, make_net_state
from prototxt_like.net.inputs import is_input
from prototxt_like.net.net import Net
from prototxt_like.schema.caffe_schema_pb2 import LayerParameter, NetParameter, Phase
from prototxt_like.sources.base import Source
from prototxt_like.sources.database import DatabaseSource
from prototxt_like.sources.files import resolve_files
from prototxt_like.sources.hdf5 import Hdf5Source
from prototxt_like.sources.image_list import ImageListSource


class FedNet:
    """Net with the sources of its data layers. Input layers have zeros.

    Args:
        message: NetParameter, not filtered by phase.
        phase: "TRAIN" or "TEST".
        level: Level for include and exclude rules; None = the net's own.
        stages: Stages for include and exclude rules.
        folder: Folder of the prototxt, where files are searched that are not in the working directory.
        device: Device of the net.

    Raises:
        FileError: If a file of a data layer is missing.
        NetError: If the net cannot be built.
    """

    def __init__(
        self,
        message: NetParameter,
        phase: str,
        *,
        level: int | None = None,
        stages: Sequence[str] = (),
        folder: Path | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        message = upgraded(message)
        filtered = filter_net(message, make_net_state(message, phase, level, stages))
        self.phase = phase
        self.sources = open_sources(filtered, phase, folder)
        shapes = {top: shape for source in self.sources for top, shape in source.shapes.items()}
        self.net = Net(filtered, phase=phase, input_shapes=shapes)
        self.device = torch.device(device)
        self.net.to(self.device)
        fed = set(shapes)
        self._zeros = {
            name: torch.zeros(shape, device=self.device)
            for name, shape in self.net.input_shapes.items()
            if name not in fed
        }

    def next_batch(self) -> dict[str, Tensor]:
        """Return the next batch of every source, by blob name."""
        batch = dict(self._zeros)
        for source in self.sources:
            batch.update((top, value.to(self.device)) for top, value in source.next_batch().items())
        return batch

    def forward(self) -> tuple[Tensor, dict[str, Tensor]]:
        """Run the net on the next batch.

        Returns:
            Loss, 0 if the net has none; and outputs by name.
        """
        outputs = self.net(**self.next_batch())
        loss = self.net.total_loss(outputs) if self.net.loss_weights else torch.zeros((), device=self.device)
        return loss, outputs

    def forward_backward(self) -> tuple[Tensor, dict[str, Tensor]]:
        """Run the net on the next batch and add the gradients of the loss to those of the parameters."""
        loss, outputs = self.forward()
        if loss.requires_grad:
            loss.backward()
        return loss.detach(), {name: value.detach() for name, value in outputs.items()}


def open_sources(message: NetParameter, phase: str, folder: Path | None) -> list[Source]:
    """Open the sources of the data layers of a filtered net. File names in the message become existing paths.

    Args:
        message: NetParameter with the layers of one state; changed in place.
        phase: Phase of the net.
        folder: Folder of the prototxt, or None.

    Raises:
        FileError: If a file is missing.
        NetError: If a type of data layer cannot be read.
    """
    sources = []
    for layer in message.layer:
        if is_input(layer) and layer.type not in ("Input", "MemoryData", "Python"):
            resolve_files(layer, folder)
            sources.append(_open(layer, Phase.Name(layer.phase) if layer.HasField("phase") else phase))
    return sources


def _open(layer: LayerParameter, phase: str) -> Source:
    generator = torch.Generator().manual_seed(int(torch.randint(2**31, ())))  # from the seed of the solver
    if layer.type == "Data":
        return DatabaseSource(layer, phase, generator)
    if layer.type == "ImageData":
        return ImageListSource(layer, phase, generator)
    if layer.type == "HDF5Data":
        return Hdf5Source(layer, generator)
    raise NetError(f'layer "{layer.name}": data of type {layer.type} cannot be read; use Data, ImageData or HDF5Data')
