"""Training and validation data, in memory or streamed. The choice affects speed, not results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from fer_lmdb.choices import LOADERS
from fer_lmdb.data.dataset import DataSet
from fer_lmdb.data.sampler import EpochSampler
from fer_lmdb.errors import RunError
from fer_lmdb.ranges import WORKERS
from prototxt_like.io.datum_store import LmdbFaces

MEMORY_BOUND = 2 << 30
"""Bytes of faces up to which "auto" reads the data into memory."""
VALIDATION_CHUNK = 16 * 256
"""Faces of a streamed split that are classified together; a multiple of the classifier's batch size."""


@dataclass(frozen=True)
class LoaderOptions:
    """Options of data loading.

    Attributes:
        loader: "memory", "stream", or "auto": memory up to 2 GiB of faces.
        workers: Reader processes for "stream"; 0 reads in the training process.
        start_method: "fork", "spawn" or "forkserver"; None selects the platform's default.

    Raises:
        RunError: If the loader is unknown or the number of workers is negative.
    """

    loader: str = "auto"
    workers: int = 2
    start_method: str | None = None

    def __post_init__(self) -> None:
        if self.loader not in LOADERS:
            raise RunError(f'--loader "{self.loader}": expected {", ".join(LOADERS)}')
        WORKERS.check("--workers", self.workers, RunError)
        if self.start_method not in (None, "fork", "spawn", "forkserver"):
            raise RunError(f'start_method "{self.start_method}": expected fork, spawn or forkserver')

    def should_stream(self, data: DataSet, splits: Sequence[str]) -> bool:
        """Return whether these splits are streamed."""
        size = sum(data.count(split) for split in splits) * data.channels * int(data.manifest["size"]) ** 2
        return self.loader == "stream" or (self.loader == "auto" and size > MEMORY_BOUND)


class InMemoryLoader:
    """Endless sequence of batches from a split in memory."""

    def __init__(
        self,
        images: torch.Tensor,
        targets: torch.Tensor,
        batch_size: int,
        seed: int,
        part: tuple[int, int] = (0, 1),
    ) -> None:
        """Set up the loader.

        Args:
            images: (N, C, H, W) uint8 on the training device.
            targets: (N, ...) labels or target rows on the same device.
            batch_size: Faces per batch, over all processes.
            seed: Seed of the run.
            part: (rank, world size), see `EpochSampler`.
        """
        self.images, self.targets = images, targets
        self.sampler = EpochSampler(len(targets), batch_size, seed, part)

    def at(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the faces and targets of one batch."""
        positions = self.sampler.batch_indices(number).to(self.images.device)
        return self.images[positions], self.targets[positions]

    def close(self) -> None:
        """No-op; in-memory data holds no resources."""


class ValidationSet:
    """Faces and labels of the validation split, in memory or streamed.

    Args:
        faces: (N, C, H, W) uint8, or a reader of them.
        labels: (N,) int64.
    """

    def __init__(self, faces: NDArray[np.uint8] | LmdbFaces, labels: NDArray[np.int64]) -> None:
        self.faces, self.labels = faces, labels

    @classmethod
    def of(cls, data: DataSet, split: str, *, streamed: bool) -> ValidationSet:
        """Open a split of a data set."""
        if streamed:
            return cls(data.lmdb_faces([split]), data.labels([split]))
        arrays = data.read(split)
        return cls(arrays.images, arrays.labels)

    def chunk(self, positions: slice) -> NDArray[np.uint8]:
        """Return consecutive faces, (n, C, H, W) uint8."""
        if isinstance(self.faces, LmdbFaces):
            return self.faces.at(np.arange(positions.start, positions.stop))
        return self.faces[positions]
