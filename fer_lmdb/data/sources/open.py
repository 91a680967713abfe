"""A path that somebody typed becomes the source that it is."""

from __future__ import annotations

from pathlib import Path

from fer_lmdb.data.sources import Source
from fer_lmdb.data.sources.fer2013 import Fer2013Csv
from fer_lmdb.data.sources.ferplus import FerPlusSource, read_votes
from fer_lmdb.data.sources.image_folder import ImageFolder
from fer_lmdb.errors import SourceError
from fer_lmdb.labels import FER2013, FERPLUS, LabelScheme

PACKED = {".zip", ".gz", ".tgz", ".xz", ".bz2", ".7z", ".tar"}


def open_source(
    path: Path, scheme: LabelScheme = FER2013, *, ferplus: Path | None = None, holdout: float = 0.1, seed: int = 0
) -> Source:
    """Open a csv in FER2013's layout or a folder of class folders.

    Args:
        path: the file or folder.
        scheme: the classes of the data set that is to be made.
        ferplus: fer2013new.csv, whose votes are joined on; with the scheme "ferplus" they make the labels.
        holdout: for folders without a validation or test split, the part of every class that goes there.
        seed: decides which pictures these are.
    Raises:
        SourceError: there is nothing, or something else.
    """
    source = _open_images(Path(path), scheme, ferplus is not None, holdout, seed)
    if ferplus is None:
        return source
    by_name = isinstance(source, ImageFolder)
    return FerPlusSource(source, read_votes(ferplus), by_name=by_name, relabel=scheme == FERPLUS)


def _open_images(path: Path, scheme: LabelScheme, with_votes: bool, holdout: float, seed: int) -> Source:
    if path.is_dir():
        own_labels = scheme == FERPLUS and not with_votes
        return ImageFolder(path, FERPLUS if own_labels else FER2013, holdout, seed)
    if not path.exists():
        raise SourceError(f"there is no {path}; expected fer2013.csv or a folder of class folders (see data/README.md)")
    if path.suffix.lower() in PACKED:
        raise SourceError(f"{path} is an archive; unpack it and give the csv or the folder inside")
    return Fer2013Csv(path)
