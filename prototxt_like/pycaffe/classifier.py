"""Image classifier of pycaffe: resize, crop, preprocess, predict."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from prototxt_like.pycaffe.io import Transformer, oversample, resize_image
from prototxt_like.pycaffe.net import Net
from prototxt_like.schema.caffe_schema_pb2 import TEST

PathLike = str | os.PathLike[str]


class Classifier(Net):
    """Net that predicts the classes of images.

    Args:
        model_file: Path of a deploy.prototxt.
        pretrained_file: Path of a caffemodel.
        image_dims: Height and width to resize images to before they are cropped; None = the net's input.
        mean: See ``Transformer.set_mean``.
        input_scale: See ``Transformer.set_input_scale``.
        raw_scale: See ``Transformer.set_raw_scale``.
        channel_swap: See ``Transformer.set_channel_swap``.
    """

    def __init__(
        self,
        model_file: PathLike,
        pretrained_file: PathLike,
        image_dims: Sequence[int] | None = None,
        mean: np.ndarray | None = None,
        input_scale: float | None = None,
        raw_scale: float | None = None,
        channel_swap: Sequence[int] | None = None,
    ) -> None:
        super().__init__(model_file, TEST, weights=pretrained_file)
        name = self.inputs[0]
        self.transformer = Transformer({name: self.blobs[name].shape})
        self.transformer.set_transpose(name, (2, 0, 1))
        if mean is not None:
            self.transformer.set_mean(name, mean)
        if input_scale is not None:
            self.transformer.set_input_scale(name, input_scale)
        if raw_scale is not None:
            self.transformer.set_raw_scale(name, raw_scale)
        if channel_swap is not None:
            self.transformer.set_channel_swap(name, channel_swap)
        self.crop_dims = np.array(self.blobs[name].shape[2:])
        self.image_dims = tuple(self.crop_dims) if image_dims is None else tuple(image_dims)

    def predict(self, inputs: Sequence[np.ndarray], oversample: bool = True) -> np.ndarray:
        """Predict class probabilities.

        Args:
            inputs: N images (H, W, C).
            oversample: Whether to average over ten crops, or to use the center.

        Returns:
            (N, classes) float32.
        """
        resized = np.stack([resize_image(image, self.image_dims) for image in inputs])
        crops = _ten_crops(resized, self.crop_dims) if oversample else self._center(resized)
        name = self.inputs[0]
        batch = np.stack([self.transformer.preprocess(name, crop) for crop in crops])
        predictions = self.forward_all(None, **{name: batch})[self.outputs[0]]
        if oversample:
            predictions = predictions.reshape(len(inputs), 10, -1).mean(1)
        return predictions

    def _center(self, images: np.ndarray) -> np.ndarray:
        top, left = (int(size / 2.0 - crop / 2.0) for size, crop in zip(self.image_dims, self.crop_dims, strict=True))
        return images[:, top : top + self.crop_dims[0], left : left + self.crop_dims[1]]


def _ten_crops(images: np.ndarray, crop_dims: np.ndarray) -> np.ndarray:
    return oversample(list(images), list(crop_dims))
