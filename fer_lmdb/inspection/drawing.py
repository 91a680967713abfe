"""Pictures of what was inspected: a mean image, a net as a graph, the distribution of classes, the first faces."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

import prototxt_like as pl
from fer_lmdb.data import lmdb_store
from fer_lmdb.data.manifest import read_manifest
from fer_lmdb.errors import DataSetError, SourceError
from fer_lmdb.io.images import write_image
from fer_lmdb.visualization import plots
from fer_lmdb.visualization.face_grid import draw_faces, draw_mean
from prototxt_like.errors import NetError

FACES_SHOWN = 16


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


def draw_distribution(manifest: dict[str, Any]) -> Figure:
    """Draw how many faces every class has in every split."""
    splits = manifest["splits"]
    figure = Figure(figsize=(4.2 * max(len(splits), 1), 3.2), layout="constrained")
    for axes, (split, facts) in zip(
        figure.subplots(1, max(len(splits), 1), squeeze=False)[0], splits.items(), strict=True
    ):
        plots.draw_distribution(axes, split, facts)
    return figure
