"""Inputs of a net: first batch and mean image; filters of its first layer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

import prototxt_like as pl
from fer_lmdb.errors import ModelError, RunError
from fer_lmdb.models.model import Model
from fer_lmdb.models.run_folder import FIRST_BATCH
from fer_lmdb.reporting.elements import Group, ImageGrid, Tile
from fer_lmdb.reporting.run_data import RunData
from fer_lmdb.visualization.face_grid import draw_mean

AUGMENTED_SHOWN = 24
FILTERS_SHOWN = 96
MIN_FRACTION_SHOWN = 0.15
EPSILON = 1e-6


def augmented_batch(run: RunData) -> ImageGrid:
    """Show the first faces of the first batch as network input, each scaled to its own range.

    Raises:
        RunError: If the first batch was not saved or is damaged.
    """
    faces, targets = read_first_batch(run.folder.path / FIRST_BATCH)
    classes = run.model.scheme.classes if run.has_model else run.data_set.scheme.classes
    shown = faces[:AUGMENTED_SHOWN]
    pairs = zip(to_images(shown), targets[:AUGMENTED_SHOWN], strict=True)
    tiles = [Tile(image, format_target(target, classes)) for image, target in pairs]
    caption = (
        f"The first {len(tiles)} faces of the first batch (train split, seed {run.seed}), cropped and augmented,"
        f" {faces.shape[-1]} x {faces.shape[-2]} pixels, each scaled to its own range."
    )
    return ImageGrid("augmented-batch", "Augmented batch", [Group("", tiles)], caption, width=118)


def read_first_batch(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read the first batch, which training saves in the run folder.

    Returns:
        (N, C, H, W) float32 faces, and (N,) int64 labels or (N, classes) float32 target distributions.

    Raises:
        RunError: If the file is missing or damaged.
    """
    if not path.exists():
        raise RunError("the first batch was not saved: the run was trained with an older version of fer-lmdb")
    try:
        tensors = load_file(path)
        faces, targets = tensors["faces"], tensors["labels"]
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise RunError(f"{path}: damaged ({error})") from error
    if faces.ndim != 4 or faces.shape[1] not in (1, 3) or len(faces) != len(targets):
        raise RunError(f"{path}: damaged: found shapes {faces.shape} and {targets.shape}, expected (N, C, H, W) and N")
    return faces, targets


def format_target(target: np.ndarray, classes: tuple[str, ...]) -> tuple[str, ...]:
    """Return a label, or the largest fractions of a soft label, as caption lines."""
    if target.ndim == 0:
        return (classes[int(target)],)
    order = [index for index in np.argsort(-target)[:2] if target[index] >= MIN_FRACTION_SHOWN]
    if len(order) == 1:
        return (classes[order[0]],)
    return tuple(f"{classes[index]} {target[index]:.0%}" for index in order)


def to_images(faces: np.ndarray) -> list[np.ndarray]:
    """Scale each face to 0-255.

    Args:
        faces: (N, 1 or 3, H, W) float in any range; color is BGR, as in Caffe.

    Returns:
        N images: (H, W) uint8 gray or (H, W, 3) uint8 RGB.
    """
    low, high = faces.min(axis=(1, 2, 3), keepdims=True), faces.max(axis=(1, 2, 3), keepdims=True)
    scaled = np.rint(255 * (faces - low) / np.maximum(high - low, EPSILON)).astype(np.uint8)
    return [to_image(face) for face in scaled]


def to_image(channels: np.ndarray) -> np.ndarray:
    """Return (1, H, W) as (H, W) gray, or (3, H, W) BGR as (H, W, 3) RGB."""
    return channels[0] if len(channels) == 1 else channels[2::-1].transpose(1, 2, 0)


def filters(model: Model) -> ImageGrid:
    """Show the weights of the first convolution.

    Raises:
        ModelError: If the net does not begin with a convolution of gray or color images.
    """
    layer, weights = first_convolution(model)
    count, channels, height, width = weights.shape
    shown = weights[:FILTERS_SHOWN]
    largest = np.maximum(np.abs(shown).max(axis=(1, 2, 3), keepdims=True), EPSILON)
    scaled = np.rint(127.5 + 127.5 * shown / largest).astype(np.uint8)
    tiles = [Tile(to_image(each)) for each in scaled]
    number = f"{len(tiles)} of {count}" if len(tiles) < count else f"All {count}"
    caption = (
        f"{number} filters of layer {layer}, {height} x {width} x {channels}, each scaled to its largest weight;"
        " mid-gray is 0, lighter is positive."
    )
    return ImageGrid(
        "filters",
        "Filters of the first layer",
        [Group("", tiles)],
        caption,
        columns=16,
        width=44,
        pixelated=True,
        layout="beside",
    )


def first_convolution(model: Model) -> tuple[str, np.ndarray]:
    """Return the name of the first convolution and its weights, (filters, 1 or 3, H, W) float32."""
    for layer in pl.parse_net(model.deploy_prototxt).layer:
        if layer.type == "Convolution" and (weights := model.weights.get(f"{layer.name}/0")) is not None:
            found = weights.float().numpy()
            if found.shape[1] in (1, 3):
                return layer.name, found
            raise ModelError(f"layer {layer.name} has {found.shape[1]} input channels; only 1 or 3 can be drawn")
    raise ModelError("the net has no convolution")


def mean_face(mean: np.ndarray | None) -> ImageGrid:
    """Show the mean image that is subtracted from each face.

    Args:
        mean: (1 or 3, H, W) float32, 0-255; None if the net subtracts no mean image.

    Raises:
        ModelError: If `mean` is None.
    """
    if mean is None:
        raise ModelError("the net subtracts no mean image")
    caption = f"Mean of the train split, {mean.shape[2]} x {mean.shape[1]} pixels, subtracted from each face."
    return ImageGrid(
        "mean-face", "Mean face", [Group("", [Tile(draw_mean(mean))])], caption, columns=1, width=192, layout="single"
    )
