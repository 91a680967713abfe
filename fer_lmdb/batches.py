"""A split in memory, cut into the batches of a training.

Which faces batch i holds depends on (seed, i) alone. So a resumed run sees the same
batches as one that was never interrupted, and nothing about their order needs saving.
"""

from __future__ import annotations

import hashlib

import torch


class Batches:
    """An endless stream of batches over a split; every epoch is a new shuffle.

    A batch may straddle two epochs, as Caffe's database cursor does: no face is left out
    or seen twice within an epoch, whatever the batch size.
    """

    def __init__(self, images: torch.Tensor, labels: torch.Tensor, batch_size: int, seed: int) -> None:
        """Keep the split.

        Args:
            images: (N, 1, H, W) uint8 on the device of the training.
            labels: (N,) int64 on the same device.
            batch_size: faces in a batch.
            seed: the run's seed.
        """
        self.images, self.labels = images, labels
        self.batch_size, self.seed = batch_size, seed
        self._orders: dict[int, torch.Tensor] = {}

    def __len__(self) -> int:
        return len(self.labels)

    def at(self, iteration: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the faces and labels of one iteration."""
        indices = self.indices_at(iteration).to(self.images.device)
        return self.images[indices], self.labels[indices]

    def indices_at(self, iteration: int) -> torch.Tensor:
        """Return the (batch_size,) positions of one iteration's faces in the split."""
        first, last = iteration * self.batch_size, (iteration + 1) * self.batch_size
        parts = []
        while first < last:
            epoch, offset = divmod(first, len(self))
            take = min(last - first, len(self) - offset)
            parts.append(self._order(epoch)[offset : offset + take])
            first += take
        return torch.cat(parts)

    def _order(self, epoch: int) -> torch.Tensor:
        if epoch not in self._orders:
            generator = torch.Generator().manual_seed(mixed_seed(self.seed, epoch, "shuffle"))
            self._orders = {
                known: order for known, order in self._orders.items() if known == epoch - 1
            }  # a straddling batch needs two epochs' orders, never more
            self._orders[epoch] = torch.randperm(len(self), generator=generator)
        return self._orders[epoch]


def mixed_seed(seed: int, number: int, purpose: str) -> int:
    """Return a seed for one purpose at one step, so that no two draw the same random numbers."""
    text = f"{seed}/{purpose}/{number}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=7).digest(), "big")
