"""Open a csv file, an image folder or an image list as a source."""

from __future__ import annotations

from pathlib import Path

from fer_lmdb.data.sources import Source
from fer_lmdb.data.sources.fer2013 import Fer2013Csv
from fer_lmdb.data.sources.ferplus import FerPlusSource, read_votes
from fer_lmdb.data.sources.image_folder import ImageFolder
from fer_lmdb.data.sources.image_list import ImageList
from fer_lmdb.data.sources.random_splits import RandomSplits
from fer_lmdb.data.split_ratio import DEFAULT_RATIO, SplitRatio
from fer_lmdb.errors import SourceError
from fer_lmdb.io.file_names import printable_path
from fer_lmdb.labels import FER2013, FERPLUS, LabelOrder, LabelScheme

ARCHIVE_SUFFIXES = {".zip", ".gz", ".tgz", ".xz", ".bz2", ".7z", ".tar"}
MAX_HEADER_BYTES = 1 << 12


def open_source(
    path: Path,
    scheme: LabelScheme = FER2013,
    *,
    label_order: LabelOrder | None = None,
    ferplus: Path | None = None,
    root: Path | None = None,
    split_ratio: SplitRatio | None = None,
    seed: int = 0,
) -> Source:
    """Open a csv in FER2013's layout, a folder of class folders or a list of images.

    Args:
        path: The file or folder.
        scheme: Label scheme of the data set to build.
        label_order: Meaning of class numbers; None: as in the csv's layout or in a classes.txt of the folder.
        ferplus: fer2013new.csv, whose votes are joined; they set the labels if the scheme is "ferplus", and the splits
            if the source has none.
        root: Folder of the paths in a list.
        split_ratio: Ratio of random splits for a source that has none; None: 80/10/10.
        seed: Seed of these splits.

    Raises:
        SourceError: If the path does not exist or is neither, a label would have to be guessed, or a ratio is set for a
            source that has its own splits.
    """
    own_scheme = FERPLUS if scheme == FERPLUS and ferplus is None else FER2013
    source = _open_images(Path(path), own_scheme, label_order, root)
    if split_ratio is not None and (source.unsplit is None or ferplus is not None):
        raise SourceError(f"{path} has its own splits; leave out --split-ratio")
    if ferplus is not None:
        check_regular(ferplus, "fer2013new.csv")
        by_name = not isinstance(source, Fer2013Csv)
        return FerPlusSource(source, read_votes(ferplus), by_name=by_name, relabel=scheme == FERPLUS)
    return (
        source if source.unsplit is None else RandomSplits(source, source.unsplit, split_ratio or DEFAULT_RATIO, seed)
    )


def _open_images(
    path: Path, scheme: LabelScheme, order: LabelOrder | None, root: Path | None
) -> ImageFolder | Fer2013Csv | ImageList:
    if root is not None and (path.is_dir() or _is_csv(path)):
        raise SourceError(f"{path} is not a list of images; leave out --root")
    if path.is_dir():
        return ImageFolder(path, scheme, order)
    if not path.exists():
        raise SourceError(
            f"{path} does not exist; expected fer2013.csv, a folder of class folders or a list (see data/README.md)"
        )
    check_regular(path, "fer2013.csv, a folder of class folders or a list")
    if path.suffix.lower() in ARCHIVE_SUFFIXES:
        raise SourceError(f"{path} is an archive; unpack it and pass the csv or the folder inside")
    if not _is_csv(path):
        return ImageList(path, scheme, order, root)
    return Fer2013Csv(path) if order is None else Fer2013Csv(path, scheme, order)


def check_regular(path: Path, expected: str) -> None:
    """Check that an existing path is a file: a pipe would be waited for, and a device may never end.

    Raises:
        SourceError: If it is not.
    """
    if path.exists() and not path.is_file():
        found = "a folder" if path.is_dir() else "a pipe, socket or device"
        raise SourceError(f"{printable_path(path)}: found {found}, expected {expected}")


def _is_csv(path: Path) -> bool:
    """Return whether a file is a csv, by its name or by the column of pixels in its header."""
    if path.suffix.lower() == ".csv" or not path.is_file():
        return path.suffix.lower() == ".csv"
    try:
        with path.open("rb") as file:
            return b"pixels" in file.readline(MAX_HEADER_BYTES).lower()
    except OSError:
        return False
