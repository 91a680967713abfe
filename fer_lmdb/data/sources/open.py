"""Open a csv file or an image folder as a source."""

from __future__ import annotations

from pathlib import Path

from fer_lmdb.data.sources import Source
from fer_lmdb.data.sources.fer2013 import Fer2013Csv
from fer_lmdb.data.sources.ferplus import FerPlusSource, read_votes
from fer_lmdb.data.sources.image_folder import ImageFolder
from fer_lmdb.errors import SourceError
from fer_lmdb.labels import FER2013, FERPLUS, LabelOrder, LabelScheme

ARCHIVE_SUFFIXES = {".zip", ".gz", ".tgz", ".xz", ".bz2", ".7z", ".tar"}


def open_source(
    path: Path,
    scheme: LabelScheme = FER2013,
    *,
    label_order: LabelOrder | None = None,
    ferplus: Path | None = None,
    holdout: float = 0.1,
    seed: int = 0,
) -> Source:
    """Open a csv in FER2013's layout or a folder of class folders.

    Args:
        path: The file or folder.
        scheme: Label scheme of the data set to build.
        label_order: Meaning of class numbers; None: as in the csv's layout or the folder's own classes.txt.
        ferplus: fer2013new.csv, whose votes are joined; they set the labels if the scheme is "ferplus".
        holdout: Fraction of each class for a validation and a test split, if the folder has none.
        seed: Seed of these splits.

    Raises:
        SourceError: If the path does not exist or is neither, or a label would have to be guessed.
    """
    own_scheme = FERPLUS if scheme == FERPLUS and ferplus is None else FER2013
    source = _open_images(Path(path), own_scheme, label_order, holdout, seed)
    if ferplus is None:
        return source
    by_name = isinstance(source, ImageFolder)
    return FerPlusSource(source, read_votes(ferplus), by_name=by_name, relabel=scheme == FERPLUS)


def _open_images(path: Path, scheme: LabelScheme, order: LabelOrder | None, holdout: float, seed: int) -> Source:
    if path.is_dir():
        return ImageFolder(path, scheme, holdout, seed, order)
    if not path.exists():
        raise SourceError(
            f"{path} does not exist; expected fer2013.csv or a folder of class folders (see data/README.md)"
        )
    if path.suffix.lower() in ARCHIVE_SUFFIXES:
        raise SourceError(f"{path} is an archive; unpack it and pass the csv or the folder inside")
    return Fer2013Csv(path) if order is None else Fer2013Csv(path, scheme, order)
