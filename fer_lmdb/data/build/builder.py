"""Entry points: build a data set, or only its image files."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from fer_lmdb.data.build.collect import Collector
from fer_lmdb.data.build.dump_images import ImageDumper
from fer_lmdb.data.build.options import BuildOptions
from fer_lmdb.data.build.spool import open_spools, shuffle
from fer_lmdb.data.build.write import describe_source, verify_dataset, write_dataset
from fer_lmdb.data.dataset import DataSet
from fer_lmdb.data.sources import Source, numbering
from fer_lmdb.data.sources.open import open_source
from fer_lmdb.errors import OutputError
from fer_lmdb.io.atomic import atomic_directory
from fer_lmdb.io.folder_kinds import IMAGES
from fer_lmdb.runtime.progress import ProgressCallback, no_progress


def build(
    source: Source | str | Path,
    out: str | Path,
    *,
    options: BuildOptions | None = None,
    images: str | Path | None = None,
    force: bool = False,
    progress: ProgressCallback = no_progress,
    **overrides: Any,
) -> DataSet:
    """Build a data set: databases, mean image and manifest. The folder appears complete or not at all.

    Args:
        source: A csv in FER2013's layout, an image folder, or any `Source`.
        out: Folder to write.
        options: Build options.
        images: Folder for PNG files of the images and faces, see `fer_lmdb.data.build.dump_images`.
        force: Replace existing folders.
        progress: Called with the progress of each stage.
        overrides: Single options, e.g. ``size=48, detector="mtcnn"``, see `BuildOptions.with_overrides`.

    Raises:
        SourceError: If a row or file is invalid (without `skip_invalid`), or there is no training face.
        DetectorError: If the face detector cannot be loaded.
        OutputError: If a folder exists (without `force`), contains the source or files that this program did not
            write, or is being written by another process.
        DataSetError: If a folder cannot be written.
        StoreError: If a database cannot be written, e.g. on a full disk.
    """
    options = (options or BuildOptions()).with_overrides(**overrides)
    opened, inputs = _open(source, options), _inputs(source, options)
    out = Path(out)
    if images is not None:
        check_separate(out, Path(images))
    with ExitStack() as stack:
        folder = stack.enter_context(atomic_directory(out, force=force, inputs=inputs))
        dumper = None
        if images is not None:
            target = atomic_directory(Path(images), kind=IMAGES, force=force, inputs=inputs)
            dumper = ImageDumper(stack.enter_context(target), boxed=options.preprocessing.detector != "none")
        spools = stack.enter_context(open_spools(folder, options.preprocessing.size, options.preprocessing.channels))
        collected = Collector(opened, spools, options, dumper.add if dumper else None)
        collected.run(progress)
        shuffle(spools, options.seed if options.shuffle else None)
        if dumper is not None:
            dumper.write_lists(spools, options.label_scheme, numbering(opened))
        manifest = write_dataset(collected, folder, progress)
        verify_dataset(folder, manifest, progress)
    return DataSet(out, manifest)


def write_images(
    source: Source | str | Path,
    images: str | Path,
    *,
    options: BuildOptions | None = None,
    force: bool = False,
    progress: ProgressCallback = no_progress,
    **overrides: Any,
) -> dict[str, Any]:
    """Write only the PNG files and lists of a data set, without databases.

    Args:
        source: A csv in FER2013's layout, an image folder, or any `Source`.
        images: Folder to write.
        options: Build options.
        force: Replace an existing folder.
        progress: Called with the progress of each stage.
        overrides: Single options, see `BuildOptions.with_overrides`.

    Returns:
        Classes, source and counts of each split, as in a manifest.

    Raises:
        SourceError, DetectorError, OutputError, DataSetError: See `build`.
    """
    options = (options or BuildOptions()).with_overrides(**overrides)
    opened, preprocessing = _open(source, options), options.preprocessing
    target = atomic_directory(Path(images), kind=IMAGES, force=force, inputs=_inputs(source, options))
    with target as folder, open_spools(folder, preprocessing.size, preprocessing.channels) as spools:
        dumper = ImageDumper(folder, boxed=preprocessing.detector != "none")
        collected = Collector(opened, spools, options, dumper.add)
        collected.run(progress)
        shuffle(spools, options.seed if options.shuffle else None)
        dumper.write_lists(spools, options.label_scheme, numbering(opened))
    return {
        "classes": list(options.label_scheme.classes),
        "source": describe_source(collected),
        "splits": {split: counts.to_dict() for split, counts in collected.counts.items() if counts.count},
    }


def _open(source: Source | str | Path, options: BuildOptions) -> Source:
    if not isinstance(source, str | Path):
        return source
    return open_source(
        Path(source),
        options.label_scheme,
        label_order=options.label_order,
        ferplus=options.ferplus,
        root=options.root,
        split_ratio=options.split_ratio,
        seed=options.seed,
    )


def _inputs(source: Source | str | Path, options: BuildOptions) -> list[str | Path]:
    """Return the files and folders that are read."""
    sources = [source] if isinstance(source, str | Path) else []
    return [*sources, *(path for path in (options.ferplus, options.root) if path is not None)]


def check_separate(out: Path, images: Path) -> None:
    """Check that neither of two output folders is inside the other.

    Raises:
        OutputError: If one is.
    """
    inner, outer = sorted((out.resolve(), images.resolve()), key=lambda path: -len(path.parts))
    if inner.is_relative_to(outer):
        raise OutputError(f"{images} and {out} are inside each other; choose a separate folder for the images")
