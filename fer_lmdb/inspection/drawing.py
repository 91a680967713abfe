"""Images of what is inspected: mean image, net graph, class distribution, first faces."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

import prototxt_like as pl
from fer_lmdb.data.manifest import read_manifest
from fer_lmdb.errors import DataSetError, SourceError
from fer_lmdb.inspection.caffe_files import build_shapes
from fer_lmdb.inspection.data_sets import inspect_data_set
from fer_lmdb.io.atomic import atomic_write_text
from fer_lmdb.io.images import write_image
from fer_lmdb.io.marks import svg_mark
from fer_lmdb.io.outputs import check_file
from fer_lmdb.io.pixels import from_planes
from fer_lmdb.visualization import plots
from fer_lmdb.visualization.face_grid import draw_faces, draw_mean
from fer_lmdb.visualization.figure_file import save_figure
from prototxt_like.errors import NetError
from prototxt_like.io import datum_store

FACES_SHOWN = 16
NETS = ("prototxt", "caffemodel")
DRAWN = (*NETS, "mean", "database", "data set")


def save_drawing(kind: str, path: Path, out: Path, *, force: bool = False) -> None:
    """Write an image of a file or folder.

    Args:
        kind: Kind of `path`, see `fer_lmdb.models.artifact_kind`.
        path: File or folder to draw.
        out: Image file: .svg for a net, .png otherwise.
        force: Whether to replace a file that this program did not write.

    Raises:
        SourceError: If this kind cannot be drawn, or `out` has another suffix.
        OutputError: If `out` would replace something that is not to be replaced.
    """
    check_drawing(kind, out)
    check_file(out, [path], force=force)
    if kind in NETS:
        atomic_write_text(out, svg_mark(draw_net(path)))
    elif kind == "mean":
        write_image(out, draw_mean(pl.read_mean(path)))
    elif kind == "database":
        names = class_names(path)
        faces = (
            (from_planes(record.image), names.get(record.label, str(record.label)))
            for record in datum_store.iterate(path)
        )
        write_image(out, draw_faces(islice(faces, FACES_SHOWN)))
    else:
        save_figure(draw_distribution(inspect_data_set(path, verify=False)), out)


def check_drawing(kind: str, out: Path) -> None:
    """Check that a kind can be drawn into a file of this name.

    Raises:
        SourceError: If it cannot.
    """
    if kind not in DRAWN:
        raise SourceError(f"a {kind} cannot be drawn; pass a net, a mean image, a database or a data set")
    expected = ".svg" if kind in NETS else ".png"
    if out.suffix.lower() != expected:
        raise SourceError(f'the image of a {kind} must be a {expected} file; found "{out.name}"')


def class_names(database: Path) -> dict[int, str]:
    """Return the class names of a database inside a data set, by label; empty for any other database."""
    try:
        return dict(enumerate(read_manifest(database.resolve().parent)["classes"]))
    except DataSetError:
        return {}


def draw_net(path: Path) -> str:
    """Return the graph of a net as SVG: phase TEST, or TRAIN if only that can be built."""
    message = pl.read_net(path)
    try:
        net = build_shapes(message, "TEST")
    except NetError:
        net = build_shapes(message, "TRAIN")
    return pl.draw_net(pl.summary(net))


def draw_distribution(manifest: dict[str, Any]) -> Figure:
    """Draw the number of faces per class and split."""
    splits = manifest["splits"]
    columns = max(len(splits), 1)
    figure = Figure(figsize=(4.2 * columns, 3.2), layout="constrained")
    for axes, (split, entry) in zip(figure.subplots(1, columns, squeeze=False)[0], splits.items(), strict=True):
        plots.draw_distribution(axes, split, entry)
    return figure
