"""The batches of a training: which faces each holds, and the faces of a split in memory.

Which faces batch i holds depends on (seed, i) alone. So a resumed run sees the same
batches as one that was never interrupted, and nothing about their order needs saving.
"""

from __future__ import annotations

import hashlib

import torch


class EpochSampler:
    """Which faces each batch holds; every epoch is a new shuffle of the whole split.

    A batch may straddle two epochs, as Caffe's database cursor does: no face is left out
    or seen twice within an epoch, whatever the batch size.
    """

    def __init__(self, count: int, batch_size: int, seed: int, part: tuple[int, int] = (0, 1)) -> None:
        """Describe the order.

        Args:
            count: faces of the split.
            batch_size: faces in a batch.
            seed: the run's seed.
            part: (r, n) gives the part r of every batch that is cut into n equal ones.
        """
        self.count, self.batch_size, self.seed = count, batch_size, seed
        size = batch_size // part[1]
        self._part = slice(part[0] * size, (part[0] + 1) * size)
        self._shuffles: dict[int, torch.Tensor] = {}

    def batch_indices(self, number: int) -> torch.Tensor:
        """Return the positions of one batch's faces in the split, (batch_size / n,) int64."""
        first, last = number * self.batch_size, (number + 1) * self.batch_size
        parts = []
        while first < last:
            epoch, offset = divmod(first, self.count)
            take = min(last - first, self.count - offset)
            parts.append(self._shuffle(epoch)[offset : offset + take])
            first += take
        return torch.cat(parts)[self._part]

    def _shuffle(self, epoch: int) -> torch.Tensor:
        if epoch not in self._shuffles:
            generator = torch.Generator().manual_seed(derive_seed(self.seed, epoch, "shuffle"))
            self._shuffles = {
                known: shuffle for known, shuffle in self._shuffles.items() if known == epoch - 1
            }  # a straddling batch needs two epochs' shuffles, never more
            self._shuffles[epoch] = torch.randperm(self.count, generator=generator)
        return self._shuffles[epoch]


class InMemoryLoader:
    """An endless stream of batches over a split that lies in memory as a whole."""

    def __init__(
        self,
        images: torch.Tensor,
        targets: torch.Tensor,
        batch_size: int,
        seed: int,
        part: tuple[int, int] = (0, 1),
    ) -> None:
        """Keep the split.

        Args:
            images: (N, 1, H, W) uint8 on the device of the training.
            targets: (N, ...) labels or rows of targets on the same device.
            batch_size: faces in a batch.
            seed: the run's seed.
            part: see `EpochSampler`.
        """
        self.images, self.targets = images, targets
        self.sampler = EpochSampler(len(targets), batch_size, seed, part)

    def at(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the faces and targets of one batch."""
        positions = self.sampler.batch_indices(number).to(self.images.device)
        return self.images[positions], self.targets[positions]

    def close(self) -> None:
        """Let go of nothing: a split in memory has neither files nor processes."""


def derive_seed(seed: int, number: int, purpose: str) -> int:
    """Return a seed for one purpose at one step, so that no two draw the same random numbers."""
    text = f"{seed}/{purpose}/{number}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=7).digest(), "big")
