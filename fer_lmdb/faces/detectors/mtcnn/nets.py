"""MTCNN's networks PNet, RNet and ONet, as in the package `mtcnn`.

Source: Zhang et al., Joint Face Detection and Alignment using Multitask Cascaded Convolutional Networks, 2016.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, TypeVar

import torch
from torch import Tensor, nn

from fer_lmdb.faces.detectors.mtcnn.weights import load_keras_arrays, read_arrays

CELL_SIZE = 12
"""Side of PNet's window, in pixels."""
STRIDE = 2
"""Pixels between two neighboring windows of PNet."""


class PNet(nn.Module):
    """Proposal network: scores every 12 x 12 window of an image."""

    flattened: ClassVar[dict[str, tuple[int, int, int]]] = {}

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 10, 3),
            nn.PReLU(10),
            nn.MaxPool2d(2, 2, ceil_mode=True),
            nn.Conv2d(10, 16, 3),
            nn.PReLU(16),
            nn.Conv2d(16, 32, 3),
            nn.PReLU(32),
        )
        self.box = nn.Conv2d(32, 4, 1)
        self.face = nn.Conv2d(32, 2, 1)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Score every window.

        Args:
            images: (N, 3, H, W) float, range -1 to 1, H and W at least 12.

        Returns:
            (N, 4, H', W') offsets of the edges x1, y1, x2, y2 in units of the window, and (N, H', W') probabilities.
        """
        x = self.features(images)
        return self.box(x), _probability(self.face(x))


class RNet(nn.Module):
    """Refinement network: scores and corrects proposals as 24 x 24 patches."""

    flattened: ClassVar[dict[str, tuple[int, int, int]]] = {"shared.0.weight": (64, 3, 3)}

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 28, 3),
            nn.PReLU(28),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            nn.Conv2d(28, 48, 3),
            nn.PReLU(48),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(48, 64, 2),
            nn.PReLU(64),
            nn.Flatten(),
        )
        self.shared = nn.Sequential(nn.Linear(576, 128), nn.PReLU(128))
        self.box = nn.Linear(128, 4)
        self.face = nn.Linear(128, 2)

    def forward(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """Score and correct proposals.

        Args:
            patches: (M, 3, 24, 24) float, range -1 to 1.

        Returns:
            (M, 4) offsets of the edges x1, y1, x2, y2 in units of the box, and (M,) probabilities.
        """
        x = self.shared(self.features(patches))
        return self.box(x), _probability(self.face(x))


class ONet(nn.Module):
    """Output network: scores and corrects refined proposals as 48 x 48 patches, and predicts five landmarks."""

    flattened: ClassVar[dict[str, tuple[int, int, int]]] = {"shared.0.weight": (128, 3, 3)}

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 32, 3),
            nn.PReLU(32),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            nn.Conv2d(32, 64, 3),
            nn.PReLU(64),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(64, 64, 3),
            nn.PReLU(64),
            nn.MaxPool2d(2, 2),
            nn.Conv2d(64, 128, 2),
            nn.PReLU(128),
            nn.Flatten(),
        )
        self.shared = nn.Sequential(nn.Linear(1152, 256), nn.PReLU(256))
        self.box = nn.Linear(256, 4)
        self.landmarks = nn.Linear(256, 10)
        self.face = nn.Linear(256, 2)

    def forward(self, patches: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Score and correct proposals, and predict landmarks.

        Args:
            patches: (M, 3, 48, 48) float, range -1 to 1.

        Returns:
            (M, 4) offsets of the edges as in `RNet`, (M,) probabilities, and (M, 10) landmarks in units of the box:
            five x, then five y.
        """
        x = self.shared(self.features(patches))
        return self.box(x), _probability(self.face(x)), self.landmarks(x)


Network = TypeVar("Network", PNet, RNet, ONet)


def load_network(kind: type[Network], folder: Path, device: torch.device) -> Network:
    """Build a network and load `<folder>/<pnet, rnet or onet>.lz4`.

    Raises:
        DetectorError: If the file is missing or damaged.
    """
    net = kind()
    load_keras_arrays(net, read_arrays(folder / f"{kind.__name__.lower()}.lz4"), kind.flattened)
    net.eval().requires_grad_(False).to(device)
    return to_channels_last(net)


def to_channels_last(net: Network) -> Network:
    """Convert the kernels to channels-last memory format, two to three times as fast on a CPU."""
    for parameter in net.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return net


def _probability(scores: Tensor) -> Tensor:
    """Return the softmax probability of the second class of (N, 2, ...) scores."""
    return torch.sigmoid(scores[:, 1] - scores[:, 0])
