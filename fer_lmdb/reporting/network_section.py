"""What goes into a net and what its first layer looks for."""

from __future__ import annotations

import numpy as np
import torch

import prototxt_like as pl
from fer_lmdb.errors import ModelError
from fer_lmdb.models.model import Model
from fer_lmdb.reporting.elements import Group, ImageGrid, Tile
from fer_lmdb.reporting.run_data import RunData
from fer_lmdb.runtime.seeding import derive_seed
from fer_lmdb.training.targets import Targets
from fer_lmdb.visualization.face_grid import draw_mean

AUGMENTED_SHOWN = 24
FILTERS_SHOWN = 96
MIN_FRACTION_SHOWN = 0.15


def augmented(run: RunData) -> ImageGrid:
    """Show faces of the run's very first batch as the net saw them, each stretched to its own range."""
    faces, targets = first_batch(run)
    classes = run.data_set.scheme.classes
    tiles = [Tile(image, caption_of(target, classes)) for image, target in zip(as_images(faces), targets, strict=True)]
    caption = (
        f"The first {len(tiles)} faces of iteration 1 (train split, seed {run.seed}), cropped and augmented as"
        f" train_val.prototxt says, {faces.shape[-1]} x {faces.shape[-2]} pixels, each stretched to its own range."
    )
    return ImageGrid("augmented-batch", "An augmented batch", [Group("", tiles)], caption, width=118)


def first_batch(run: RunData) -> tuple[np.ndarray, np.ndarray]:
    """Return the faces and targets that the run began with, up to `AUGMENTED_SHOWN` of them.

    Returns:
        (N, C, H, W) float32, and (N, classes) float32, whose rows are the labels, softened where the recipe says so.
    """
    plan, classes = run.plan, len(run.data_set.scheme)
    images, labels = first_faces(run)
    parameter = pl.data_layer(plan.net, "TRAIN").transform_param
    mean = torch.from_numpy(run.data_set.mean()) if parameter.mean_file else None
    generator = torch.Generator().manual_seed(derive_seed(run.seed, 0, "augment"))
    faces = pl.Transform(parameter, "TRAIN", mean=mean)(images, generator=generator)
    faces, targets, *_ = Targets(plan.solver, classes, run.seed)(faces, labels, 0)
    if targets.ndim == 1:
        targets = torch.nn.functional.one_hot(targets, classes).float()
    return faces[:AUGMENTED_SHOWN].numpy(), targets[:AUGMENTED_SHOWN].numpy()


def first_faces(run: RunData) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the faces of the run's first batch as they lie in the data set, and their labels.

    Returns:
        (N, 1, H, W) uint8 and (N,) int64.
    """
    parts = run.training_splits
    images, labels = (np.concatenate([getattr(part, name) for part in parts]) for name in ("images", "labels"))
    shuffle = torch.Generator().manual_seed(derive_seed(run.seed, 0, "shuffle"))
    positions = torch.randperm(len(labels), generator=shuffle)[: run.plan.batch_size]
    return torch.from_numpy(images)[positions], torch.from_numpy(labels)[positions]


def caption_of(target: np.ndarray, classes: tuple[str, ...]) -> tuple[str, ...]:
    """Return the label, or the shares of a mixed one."""
    order = [index for index in np.argsort(-target)[:2] if target[index] >= MIN_FRACTION_SHOWN]
    if len(order) == 1:
        return (classes[order[0]],)
    return tuple(f"{classes[index]} {target[index]:.0%}" for index in order)


def as_images(faces: np.ndarray) -> list[np.ndarray]:
    """Stretch every face to 0-255.

    Args:
        faces: (N, 1 or 3, H, W) float in any range; colour is blue, green, red.

    Returns:
        N times (H, W) uint8 grey or (H, W, 3) uint8 RGB.
    """
    low, high = faces.min(axis=(1, 2, 3), keepdims=True), faces.max(axis=(1, 2, 3), keepdims=True)
    stretched = np.rint(255 * (faces - low) / np.maximum(high - low, 1e-6)).astype(np.uint8)
    return [face[0] if len(face) == 1 else face[2::-1].transpose(1, 2, 0) for face in stretched]  # (H, W, C)


def filters(model: Model) -> ImageGrid:
    """Show the weights of the first convolution.

    Raises:
        ModelError: the net has none that looks at grey or colour pictures.
    """
    layer, weights = first_convolution(model)
    count, channels, height, width = weights.shape
    shown = weights[:FILTERS_SHOWN]
    largest = np.maximum(np.abs(shown).max(axis=(1, 2, 3), keepdims=True), 1e-12)
    scaled = np.rint(127.5 + 127.5 * shown / largest).astype(np.uint8)
    tiles = [Tile(one[0] if channels == 1 else one[2::-1].transpose(1, 2, 0)) for one in scaled]  # (H, W, C)
    which = f"{len(tiles)} of {count}" if len(tiles) < count else f"All {count}"
    caption = (
        f"{which} filters of layer {layer}, {height} x {width} x {channels}; mid-grey is 0,"
        " lighter is positive, each scaled to its largest weight."
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
            raise ModelError(f"layer {layer.name} looks at {found.shape[1]} channels; only 1 or 3 make a picture")
    raise ModelError("the net has no convolution")


def mean_face(mean: np.ndarray | None) -> ImageGrid:
    """Show the mean image that is subtracted from every face.

    Args:
        mean: (1 or 3, H, W) float32, 0-255; None where the net takes none.

    Raises:
        ModelError: there is none.
    """
    if mean is None:
        raise ModelError("this net subtracts no mean image")
    caption = (
        f"The mean of the train split, {mean.shape[2]} x {mean.shape[1]} pixels; it is subtracted from every face."
    )
    return ImageGrid(
        "mean-face",
        "The mean face",
        [Group("", [Tile(draw_mean(mean))])],
        caption,
        columns=1,
        width=192,
        layout="single",
    )
