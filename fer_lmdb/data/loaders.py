"""How faces come to the training: from memory, or streamed. It changes the speed, never the result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fer_lmdb.data.dataset import DataSet
from fer_lmdb.data.streaming import LmdbFaces
from fer_lmdb.errors import RunError

LOADERS = ("auto", "memory", "stream")
MEMORY_BOUND = 2 << 30  # bytes of faces that "auto" still reads into memory
VALIDATION_CHUNK = (
    16 * 256
)  # faces of a streamed split that are looked at together; a multiple of the classifier's batch


@dataclass(frozen=True)
class LoaderOptions:
    """What the user asked for.

    Attributes:
        loader: "memory", "stream", or "auto": memory up to 2 GiB of faces.
        workers: processes that read ahead for "stream"; with 0 the training reads by itself.
        start_method: "fork", "spawn" or "forkserver"; None leaves it to the platform.
    """

    loader: str = "auto"
    workers: int = 2
    start_method: str | None = None

    def __post_init__(self) -> None:
        if self.loader not in LOADERS:
            raise RunError(f'--loader "{self.loader}": expected {", ".join(LOADERS)}')
        if self.workers < 0:
            raise RunError(f"--workers {self.workers}: must be 0 or more")

    def should_stream(self, data: DataSet, splits: Sequence[str]) -> bool:
        """Tell whether these splits are streamed."""
        size = sum(data.count(split) for split in splits) * int(data.manifest["size"]) ** 2
        return self.loader == "stream" or (self.loader == "auto" and size > MEMORY_BOUND)


class ValidationSet:
    """The faces that a training is measured on, in memory or not.

    Args:
        faces: (N, 1, H, W) uint8, or where they lie.
        labels: (N,) int64.
    """

    def __init__(self, faces: NDArray[np.uint8] | LmdbFaces, labels: NDArray[np.int64]) -> None:
        self.faces, self.labels = faces, labels

    @classmethod
    def of(cls, data: DataSet, split: str, *, streamed: bool) -> ValidationSet:
        """Open a split."""
        if streamed:
            return cls(data.lmdb_faces([split]), data.labels([split]))
        whole = data.read(split)
        return cls(whole.images, whole.labels)

    def chunk(self, places: slice) -> NDArray[np.uint8]:
        """Return a run of faces."""
        if isinstance(self.faces, LmdbFaces):
            return self.faces.at(np.arange(places.start, places.stop))
        return self.faces[places]
