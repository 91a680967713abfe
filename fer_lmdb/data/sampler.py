"""Order of the training faces: the positions in each batch, a function of (seed, batch number) only.

A resumed run therefore draws the same batches as an uninterrupted one, and no sampler state is saved.
"""

from __future__ import annotations

import torch

from fer_lmdb.runtime.seeding import derive_seed


class EpochSampler:
    """Batch sampler that shuffles the whole split in every epoch.

    A batch may straddle two epochs, as with Caffe's database cursor. Every face therefore occurs exactly once per
    epoch for any batch size.
    """

    def __init__(self, count: int, batch_size: int, seed: int, part: tuple[int, int] = (0, 1)) -> None:
        """Set up the sampler.

        Args:
            count: Number of faces in the split.
            batch_size: Faces per batch, over all processes.
            seed: Seed of the run.
            part: (rank, world size); each rank gets its slice of every batch.
        """
        self.count, self.batch_size, self.seed = count, batch_size, seed
        size = batch_size // part[1]
        self._part = slice(part[0] * size, (part[0] + 1) * size)
        self._shuffles: dict[int, torch.Tensor] = {}

    def batch_indices(self, number: int) -> torch.Tensor:
        """Return the positions of one batch's faces in the split: (batch_size / world size,) int64."""
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
            # A batch that straddles two epochs needs both permutations; older ones are dropped.
            self._shuffles = {known: shuffle for known, shuffle in self._shuffles.items() if known == epoch - 1}
            self._shuffles[epoch] = torch.randperm(self.count, generator=generator)
        return self._shuffles[epoch]
