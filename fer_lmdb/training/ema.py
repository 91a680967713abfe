"""The exponential moving average of a net's blobs (`ema_decay`).

During the first updates the decay is smaller, (1 + n) / (10 + n) after n of them, so that a short training's average is
not one of the weights that it began with. Source: TensorFlow's ExponentialMovingAverage.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from fer_lmdb.errors import RunError


class ModelEMA:
    """Follows weights: average = decay * average + (1 - decay) * weight after each update.

    BatchNorm's sums are averaged with them: all three blobs alike, so their quotients stay statistics.
    """

    def __init__(self, blobs: Mapping[str, Tensor], decay: float) -> None:
        """Begin with the weights as they are.

        Raises:
            RunError: the decay is no part of a whole.
        """
        if not 0 <= decay < 1:
            raise RunError(f"ema_decay is {decay:g}; it has to be at least 0 and less than 1, for instance 0.999")
        self.decay = decay
        self.blobs = {name: blob.detach().clone() for name, blob in blobs.items()}

    @torch.no_grad()
    def update(self, blobs: Mapping[str, Tensor], before: int) -> None:
        """Take in the weights after an update; before counts the updates before it."""
        current = [blobs[name].detach() for name in self.blobs]
        decay = min(self.decay, (1 + before) / (10 + before))
        torch._foreach_lerp_(list(self.blobs.values()), current, 1 - decay)

    @torch.no_grad()
    def load_state_dict(self, blobs: Mapping[str, Tensor]) -> None:
        """Take over the averages of a snapshot."""
        for name, blob in self.blobs.items():
            blob.copy_(blobs[name])
