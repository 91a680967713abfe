"""Pictures -> faces -> databases, mean image and manifest. All or nothing.

source ──▶ gather (detect, align, spool) ──▶ write (shuffle, LMDB, mean, manifest) ──▶ check ──▶ rename
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fer_lmdb.build.gather import gather
from fer_lmdb.build.options import Options, Progress, quiet
from fer_lmdb.build.write import check, write
from fer_lmdb.sources import Source
from fer_lmdb.whole import whole_folder

__all__ = ["Options", "Progress", "build"]


def build(
    source: Source,
    target: Path,
    options: Options | None = None,
    *,
    force: bool = False,
    progress: Progress = quiet,
) -> dict[str, Any]:
    """Build a data set folder.

    Args:
        source: where the pictures come from.
        target: the folder to make; it appears complete or not at all.
        options: how to build it.
        force: replace the folder where it exists.
        progress: told how far it is.
    Returns:
        the manifest that was written.
    Raises:
        SourceError: a row or file cannot be used (without `skip_bad`), or there is nothing to train on.
        DetectorError: the face detector cannot be loaded.
        DataSetError: the target exists, is being built, or cannot be written.
        StoreError: a database cannot be written, e.g. on a full disk.
    """
    options = options or Options()
    with whole_folder(target, force=force) as folder:
        gathered = gather(source, folder, options, progress)
        document = write(source, gathered, folder, options, progress)
        check(folder, document, progress)
    return document
