"""Exponential moving average of the weights (`ema_decay`).

After n updates the decay is at most (1 + n) / (10 + n), so that the initial weights do not dominate the average of a
short run. Source: TensorFlow's ExponentialMovingAverage.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from fer_lmdb.errors import RunError


def validate_ema(decay: float) -> None:
    """Check the decay.

    Raises:
        RunError: If the decay is not in [0, 1).
    """
    if not 0 <= decay < 1:
        raise RunError(f"ema_decay is {decay:g}; it must be at least 0 and less than 1, e.g. 0.999")


class ModelEMA:
    """Moving average of weights: average = decay * average + (1 - decay) * weight after each update.

    The three blobs of BatchNorm are sums and are averaged as well; their quotients remain valid statistics.

    Args:
        blobs: Weights by name; the initial average is a copy of them.
        decay: Decay in [0, 1).
    Raises:
        RunError: If the decay is not in [0, 1).
    """

    def __init__(self, blobs: Mapping[str, Tensor], decay: float) -> None:
        validate_ema(decay)
        self.decay = decay
        self.blobs = {name: blob.detach().clone() for name, blob in blobs.items()}

    @torch.no_grad()
    def update(self, blobs: Mapping[str, Tensor], before: int) -> None:
        """Add the weights after an update.

        Args:
            blobs: Current weights by name.
            before: Number of updates before this one.
        """
        current = [blobs[name].detach() for name in self.blobs]
        decay = min(self.decay, (1 + before) / (10 + before))
        torch._foreach_lerp_(list(self.blobs.values()), current, 1 - decay)

    @torch.no_grad()
    def load_state_dict(self, blobs: Mapping[str, Tensor]) -> None:
        """Restore the averages of a snapshot."""
        for name, blob in self.blobs.items():
            blob.copy_(blobs[name])
