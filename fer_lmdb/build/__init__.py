"""Pictures -> faces -> databases, mean image and manifest. All or nothing.

source ──▶ gather (detect, align, spool) ──▶ write (shuffle, LMDB, mean, manifest) ──▶ check ──▶ rename
               └──▶ extract (pictures and lists, on request)
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from fer_lmdb.build.extract import MARKER, Extractor
from fer_lmdb.build.gather import gather
from fer_lmdb.build.options import Options, Progress, quiet
from fer_lmdb.build.spool import open_spools, shuffle
from fer_lmdb.build.write import check, describe_source, write
from fer_lmdb.errors import DataSetError
from fer_lmdb.sources import Source
from fer_lmdb.whole import whole_folder

__all__ = ["Options", "Progress", "build", "extract"]


def build(
    source: Source,
    target: Path,
    options: Options | None = None,
    *,
    images: Path | None = None,
    force: bool = False,
    progress: Progress = quiet,
) -> dict[str, Any]:
    """Build a data set folder.

    Args:
        source: where the pictures come from.
        target: the folder to make; it appears complete or not at all.
        options: how to build it.
        images: a second folder to make, with the pictures themselves (see `fer_lmdb.build.extract`).
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
    options = options or Options()
    with ExitStack() as stack:
        folder = stack.enter_context(whole_folder(target, force=force))
        extractor = open_extractor(stack, target, images, options, force) if images is not None else None
        spools = stack.enter_context(open_spools(folder, options.preprocessing.size))
        gathered = gather(source, spools, options, progress, extractor.add if extractor else None)
        shuffle(spools, options.seed)
        if extractor is not None:
            extractor.write_lists(spools)
        document = write(source, gathered, folder, options, progress)
        check(folder, document, progress)
    return document


def open_extractor(stack: ExitStack, target: Path, images: Path, options: Options, force: bool) -> Extractor:
    """Open the folder of pictures, which takes its place when the stack is closed."""
    inner, outer = sorted((target.resolve(), images.resolve()), key=lambda path: -len(path.parts))
    if inner.is_relative_to(outer):
        raise DataSetError(f"{images} and {target} lie inside each other; give the pictures a folder of their own")
    folder = stack.enter_context(whole_folder(images, force=force, marker=MARKER))
    return Extractor(folder, boxed=options.preprocessing.detector != "none")


def extract(
    source: Source, images: Path, options: Options | None = None, *, force: bool = False, progress: Progress = quiet
) -> dict[str, Any]:
    """Make the folder of pictures and lists alone, without databases.

    Returns:
        the counts of every split, as in a manifest.
    Raises:
        SourceError, DetectorError, DataSetError: as `build`.
    """
    options = options or Options()
    size = options.preprocessing.size
    with whole_folder(images, force=force, marker=MARKER) as folder, open_spools(folder, size) as spools:
        extractor = Extractor(folder, boxed=options.preprocessing.detector != "none")
        gathered = gather(source, spools, options, progress, extractor.add)
        shuffle(spools, options.seed)
        extractor.write_lists(spools)
    return {
        "classes": list(options.scheme.classes),
        "source": describe_source(source, gathered),
        "splits": {split: counts.to_dict() for split, counts in gathered.counts.items() if counts.count},
    }
