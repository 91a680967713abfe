"""Base class of sources and the transform of their images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from prototxt_like.errors import FileError
from prototxt_like.transforms.transform import Transform

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter

Shape = tuple[int, ...]


class Source:
    """Endless sequence of batches for the tops of a data layer.

    Args:
        layer: Data layer; its file names are paths that exist.

    Attributes:
        shapes: Shape of each top by blob name, including the batch axis.
    """

    def __init__(self, layer: LayerParameter) -> None:
        self.layer = layer
        self.shapes: dict[str, Shape] = {}

    def next_batch(self) -> dict[str, Tensor]:
        """Return the next batch: float32 by blob name."""
        raise NotImplementedError

    def fail(self, problem: str) -> FileError:
        """Return an error with the name of the layer."""
        return FileError(f'layer "{self.layer.name}" ({self.layer.type}): {problem}')


class ImageSource(Source):
    """Source of images with labels: the first top has the transformed images, the second the labels.

    Args:
        layer: Data layer with a ``transform_param``.
        phase: "TRAIN" (random crops and mirroring) or "TEST".
        batch_size: Images per batch.
        generator: Random numbers of the transform.
    """

    def __init__(self, layer: LayerParameter, phase: str, batch_size: int, generator: torch.Generator) -> None:
        super().__init__(layer)
        if batch_size < 1:
            raise self.fail(f"invalid batch_size: found {batch_size}, expected 1 or more")
        self.batch_size = batch_size
        self.generator = generator
        self.transform = Transform(layer.transform_param, phase)

    def next_image(self) -> tuple[np.ndarray, int]:
        """Return the next image, (C, H, W) uint8 or float32 with color channels blue, green, red, and its label."""
        raise NotImplementedError

    def set_shapes(self, first: np.ndarray) -> None:
        """Set the shapes of the tops from the first image."""
        image = self._transformed([first])
        self.shapes = dict(zip(self.layer.top, [(self.batch_size, *image.shape[1:]), (self.batch_size,)], strict=False))

    def next_batch(self) -> dict[str, Tensor]:
        """Return the next batch of images and labels."""
        images, labels = zip(*(self.next_image() for _ in range(self.batch_size)), strict=True)
        tops = [self._transformed(images), torch.tensor(labels, dtype=torch.float32)]
        return dict(zip(self.layer.top, tops, strict=False))

    def _transformed(self, images: Sequence[np.ndarray]) -> Tensor:
        """Transform images; those of different sizes need a crop."""
        if len({image.shape for image in images}) == 1:
            return self.transform(torch.from_numpy(np.stack(images)), self.generator)
        parts = [self.transform(torch.from_numpy(image[None].copy()), self.generator) for image in images]
        if len({part.shape for part in parts}) != 1:
            raise self.fail("the images of a batch differ in size; set crop_size, or resize them")
        return torch.cat(parts)
