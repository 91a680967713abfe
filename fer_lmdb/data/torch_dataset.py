"""A split as a PyTorch dataset."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset, get_worker_info

from prototxt_like.io.datum_store import LmdbFaces


class FaceDataset(Dataset[tuple[Any, int]]):
    """Map-style dataset of (image, label) pairs; picklable for worker processes.

    Images are read from the databases on access: (C, H, W) uint8 tensors, or the output of the transform.

    Args:
        faces: Reader of the faces.
        labels: (N,) int64.
        transform: Applied to each image.
    """

    def __init__(
        self, faces: LmdbFaces, labels: NDArray[np.int64], transform: Callable[[Any], Any] | None = None
    ) -> None:
        self.faces, self.labels, self.transform = faces, labels, transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        """Return the image and label at an index.

        Raises:
            IndexError: If there is no such index.
            StoreError: If a database is missing or damaged.
        """
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} is out of range for {len(self)} faces")
        return self.__getitems__([index % len(self)])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[tuple[Any, int]]:
        """Return the pairs of a batch, read together."""
        if get_worker_info() is not None:
            self.faces.keep_open()  # worker processes do not fork
        images = torch.from_numpy(self.faces.at(np.asarray(indices, dtype=np.int64)))
        return [
            (image if self.transform is None else self.transform(image), int(self.labels[index]))
            for image, index in zip(images, indices, strict=True)
        ]
