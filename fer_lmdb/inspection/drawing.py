"""Pictures of what was inspected: a mean image, a net as a graph, the distribution of classes, the first faces."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

import prototxt_like as pl
from fer_lmdb.data import lmdb_store
from fer_lmdb.data.manifest import read_manifest
from fer_lmdb.errors import DataSetError, SourceError
from fer_lmdb.io.images import write_image
from fer_lmdb.visualization import plots
from fer_lmdb.visualization.canvas import Canvas
from prototxt_like.errors import NetError

TILE = 96
CAPTION = 20
COLUMNS = 8
FACES_SHOWN = 16
MEAN_SIDE = 384
BACKGROUND = (250, 250, 250)
INK = (30, 30, 30)


def draw(kind: str, path: Path, out: Path) -> None:
    """Draw what lies at a path into a file.

    Args:
        kind: as `fer_lmdb.inspection.artifact_kind` calls it.
        path: what to draw.
        out: an .svg for nets, a .png for the others.
    Raises:
        SourceError: there is no picture of this kind of thing, or not in this format.
    """
    wanted = ".svg" if kind in ("prototxt", "caffemodel") else ".png"
    if out.suffix.lower() != wanted:
        raise SourceError(f'a picture of a {kind} is written as {wanted}; found "{out.name}"')
    if wanted == ".svg":
        out.write_text(draw_net(path), encoding="utf-8")
    elif kind == "mean":
        write_image(out, draw_mean(pl.read_mean(path)))
    elif kind == "database":
        names = class_names(path)
        faces = ((record.image, names.get(record.label, str(record.label))) for record in lmdb_store.iterate(path))
        write_image(out, draw_faces(islice(faces, FACES_SHOWN)))
    elif kind == "data set":
        draw_distribution(read_manifest(path)).savefig(out, dpi=120)
    else:
        raise SourceError(f"there is no picture of a {kind}; draw a net, a mean, a database or a data set")


def class_names(database: Path) -> dict[int, str]:
    """Return the names of the labels where a database lies in a data set, nothing elsewhere."""
    try:
        return dict(enumerate(read_manifest(database.resolve().parent)["classes"]))
    except DataSetError:
        return {}


def draw_net(path: Path) -> str:
    """Return a net's graph as SVG: the TEST phase, or TRAIN where only that can be built."""
    from fer_lmdb.inspection.caffe_files import build_shapes

    message = pl.read_net(path)
    try:
        net = build_shapes(message, "TEST")
    except NetError:
        net = build_shapes(message, "TRAIN")
    return pl.draw_net(pl.summary(net))


def draw_mean(mean: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return a mean image as a picture, enlarged.

    Args:
        mean: (1, H, W) grey or (3, H, W) in the order blue, green, red, 0 to 255.
    Returns:
        (H', W', 3) uint8 RGB.
    """
    image = np.clip(np.rint(mean), 0, 255).astype(np.uint8).transpose(1, 2, 0)  # (H, W, C)
    rgb = np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image[:, :, 2::-1]
    zoom = max(1, MEAN_SIDE // max(rgb.shape[:2]))
    return np.asarray(np.repeat(np.repeat(rgb, zoom, axis=0), zoom, axis=1))


def draw_faces(faces: Iterable[tuple[NDArray[np.uint8], str]]) -> NDArray[np.uint8]:
    """Return faces in rows, each with a caption below.

    Args:
        faces: (H, W) uint8 grey and the caption.
    Returns:
        (H', W', 3) uint8 RGB.
    """
    shown = list(faces)
    rows = -(-len(shown) // COLUMNS)
    sheet = Canvas(np.full((max(rows, 1) * (TILE + CAPTION), min(len(shown), COLUMNS) * TILE, 3), BACKGROUND, np.uint8))
    for number, (face, caption) in enumerate(shown):
        row, column = divmod(number, COLUMNS)
        x, y = column * TILE, row * (TILE + CAPTION)
        tile = cv2.resize(face, (TILE, TILE), interpolation=cv2.INTER_CUBIC)
        sheet.pixels[y : y + TILE, x : x + TILE] = tile[:, :, np.newaxis]
        sheet.text(x + TILE / 2, y + TILE + CAPTION / 2, caption, INK, 12, anchor="mm")
    return sheet.finish()


def draw_distribution(manifest: dict[str, Any]) -> Figure:
    """Draw how many faces every class has in every split."""
    splits = manifest["splits"]
    figure = Figure(figsize=(4.2 * max(len(splits), 1), 3.2), layout="constrained")
    for axes, (split, facts) in zip(
        figure.subplots(1, max(len(splits), 1), squeeze=False)[0], splits.items(), strict=True
    ):
        plots.draw_distribution(axes, split, facts)
    return figure
