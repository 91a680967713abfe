"""Pictures -> faces -> databases, mean image and manifest. All or nothing.

source ──▶ gather (detect, align, spool) ──▶ write (shuffle, LMDB, mean, manifest) ──▶ check ──▶ rename
               └──▶ extract (pictures and lists, on request)
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from fer_lmdb.data.build.collect import collect_faces
from fer_lmdb.data.build.dump_images import MARKER, ImageDumper
from fer_lmdb.data.build.options import BuildOptions, ProgressCallback, no_progress
from fer_lmdb.data.build.spool import open_spools, shuffle
from fer_lmdb.data.build.write import describe_source, verify_dataset, write_dataset
from fer_lmdb.data.sources import Source
from fer_lmdb.errors import DataSetError
from fer_lmdb.io.atomic import atomic_directory

__all__ = ["BuildOptions", "ProgressCallback", "build", "extract"]


def build(
    source: Source,
    target: Path,
    options: BuildOptions | None = None,
    *,
    images: Path | None = None,
    force: bool = False,
    progress: ProgressCallback = no_progress,
) -> dict[str, Any]:
    """Build a data set folder.

    Args:
        source: where the pictures come from.
        target: the folder to make; it appears complete or not at all.
        options: how to build it.
        images: a second folder to make, with the pictures themselves (see `fer_lmdb.data.build.dump_images`).
        force: replace the folders where they exist.
        progress: told how far it is.
    Returns:
        the manifest that was written.
    Raises:
        SourceError: a row or file cannot be used (without `skip_bad`), or there is nothing to train on.
        DetectorError: the face detector cannot be loaded.
        DataSetError: a target exists, is being built, or cannot be written.
        StoreError: a database cannot be written, e.g. on a full disk.
    """
    options = options or BuildOptions()
    with ExitStack() as stack:
        folder = stack.enter_context(atomic_directory(target, force=force))
        dumper = open_dumper(stack, target, images, options, force) if images is not None else None
        spools = stack.enter_context(open_spools(folder, options.preprocessing.size))
        collected = collect_faces(source, spools, options, progress, dumper.add if dumper else None)
        shuffle(spools, options.seed)
        if dumper is not None:
            dumper.write_lists(spools)
        document = write_dataset(source, collected, folder, options, progress)
        verify_dataset(folder, document, progress)
    return document


def open_dumper(stack: ExitStack, target: Path, images: Path, options: BuildOptions, force: bool) -> ImageDumper:
    """Open the folder of pictures, which takes its place when the stack is closed."""
    inner, outer = sorted((target.resolve(), images.resolve()), key=lambda path: -len(path.parts))
    if inner.is_relative_to(outer):
        raise DataSetError(f"{images} and {target} lie inside each other; give the pictures a folder of their own")
    folder = stack.enter_context(atomic_directory(images, force=force, marker=MARKER))
    return ImageDumper(folder, boxed=options.preprocessing.detector != "none")


def extract(
    source: Source,
    images: Path,
    options: BuildOptions | None = None,
    *,
    force: bool = False,
    progress: ProgressCallback = no_progress,
) -> dict[str, Any]:
    """Make the folder of pictures and lists alone, without databases.

    Returns:
        the counts of every split, as in a manifest.
    Raises:
        SourceError, DetectorError, DataSetError: as `build`.
    """
    options = options or BuildOptions()
    size = options.preprocessing.size
    with atomic_directory(images, force=force, marker=MARKER) as folder, open_spools(folder, size) as spools:
        dumper = ImageDumper(folder, boxed=options.preprocessing.detector != "none")
        collected = collect_faces(source, spools, options, progress, dumper.add)
        shuffle(spools, options.seed)
        dumper.write_lists(spools)
    return {
        "classes": list(options.scheme.classes),
        "source": describe_source(source, collected),
        "splits": {split: counts.to_dict() for split, counts in collected.counts.items() if counts.count},
    }
