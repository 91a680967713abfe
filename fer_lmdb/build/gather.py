"""Read a source to its end: pictures -> faces -> spools."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_lmdb.ahead import read_ahead
from fer_lmdb.build.options import Options, Progress
from fer_lmdb.build.preparing import Preparing
from fer_lmdb.build.spool import Entry, Spool
from fer_lmdb.engines import get_engine
from fer_lmdb.errors import SourceError
from fer_lmdb.faces.prepare import Prepared
from fer_lmdb.labels import FER2013, LabelScheme
from fer_lmdb.sources import SPLITS, Reject, Sample, Source

PICTURES_AT_ONCE = 512
BYTES_AT_ONCE = 128 << 20
NO_PICTURE = np.empty((0, 0), dtype=np.uint8)

Batch = list[tuple[Sample, int]]
"""Pictures with their labels in the data set's scheme."""

OnFace = Callable[[Sample, Prepared, int], None]
"""Called for every face that goes into the data set, with its label there."""


@dataclass
class SplitCount:
    """What became of the pictures of one split.

    Attributes:
        count: faces in the database.
        detected: of these, found by the detector and aligned.
        kept_unaligned: of these, kept as they are because no face was found.
        dropped: pictures left out because no face was found.
        left_out: pictures left out because the label scheme has no class for them.
        unreadable: rows or files that could not be used.
        per_class: faces of every class.
    """

    count: int = 0
    detected: int = 0
    kept_unaligned: int = 0
    dropped: int = 0
    left_out: int = 0
    unreadable: int = 0
    per_class: dict[str, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for the manifest."""
        return asdict(self)


@dataclass
class Gathered:
    """Everything that was read and prepared, waiting to be written."""

    spools: dict[str, Spool]
    counts: dict[str, SplitCount]
    rejects: list[Reject] = field(default_factory=list)
    dropped: list[Sample] = field(default_factory=list)
    rows: int = 0


def gather(
    source: Source, spools: dict[str, Spool], options: Options, progress: Progress, on_face: OnFace | None = None
) -> Gathered:
    """Read the source to its end, prepare every face and spool it.

    Reading the next batch overlaps with finding faces in this one.

    Raises:
        SourceError: something cannot be used (without `skip_bad`), or there is nothing to train on.
    """
    classes = options.scheme.classes
    counts = {split: SplitCount(per_class=dict.fromkeys(classes, 0)) for split in SPLITS}
    gathered = Gathered(spools, counts)
    preparing = Preparing(options.preprocessing, options.device)
    preparing.load()  # what is missing shows before anything is read
    samples = accepted(source, gathered, options)
    for batch, found in get_engine(options.engine).map(preparing, samples, images_of):
        add_faces(batch, found, gathered, options, on_face)
        progress("read", gathered.rows, source.size_hint())
    if not len(spools["train"]):
        raise SourceError(f"{source.name} has no face to train on; expected rows or folders of a training split")
    return gathered


def accepted(source: Source, gathered: Gathered, options: Options) -> Iterator[Batch]:
    """Yield the usable pictures of a source in batches; count the others."""
    for batch in read_ahead(batched(source)):
        gathered.rows += len(batch)
        yield accept(batch, source, gathered, options)


def images_of(batch: Batch) -> list[NDArray[np.uint8]]:
    """Return the pictures of a batch."""
    return [sample.image for sample, _ in batch]


def accept(batch: list[Sample | Reject], source: Source, gathered: Gathered, options: Options) -> Batch:
    """Return the usable pictures of a batch with their labels; count the others.

    Raises:
        SourceError: there is one that cannot be used, and bad ones are not to be skipped.
    """
    accepted = []
    for item in batch:
        if isinstance(item, Reject):
            note_reject(item, gathered, options)
            continue
        label = label_in_scheme(item.label, source.classes, options.scheme)
        if label is None:
            gathered.counts[item.split].left_out += 1
        else:
            accepted.append((item, label))
    return accepted


def note_reject(reject: Reject, gathered: Gathered, options: Options) -> None:
    """Count a row or file that cannot be used, or stop there."""
    if not options.skip_bad:
        raise SourceError(f"{reject.where}: {reject.reason} (--skip-bad leaves such rows and files out and lists them)")
    gathered.rejects.append(reject)
    if reject.split is not None:
        gathered.counts[reject.split].unreadable += 1


def add_faces(
    samples: Batch, found: list[Prepared], gathered: Gathered, options: Options, on_face: OnFace | None
) -> None:
    """Count and spool the faces of one batch."""
    detected = options.preprocessing.detector != "none"
    for (sample, label), prepared in zip(samples, found, strict=True):
        counts = gathered.counts[sample.split]
        if detected and not prepared.aligned and options.on_miss == "drop":
            counts.dropped += 1
            gathered.dropped.append(replace(sample, image=NO_PICTURE))
            continue
        counts.count += 1
        counts.detected += prepared.aligned
        counts.kept_unaligned += not prepared.aligned
        counts.per_class[options.scheme.classes[label]] += 1
        detection = describe(prepared) if detected else ""
        gathered.spools[sample.split].add(prepared.crop, Entry(sample.name, label, detection, sample.votes))
        if on_face is not None:
            on_face(sample, prepared, label)


def describe(prepared: Prepared) -> str:
    """Return what the detector said of a face, as the fields of a JSON object without its braces."""
    face = prepared.face.to_dict() if prepared.face is not None else {"box": None, "score": None, "landmarks": None}
    transform = [[round(float(value), 6) for value in row] for row in prepared.transform]
    state = "aligned" if prepared.aligned else "kept"
    return json.dumps({**face, "transform": transform, "state": state})[1:-1]


def label_in_scheme(label: int | None, classes: tuple[str, ...], scheme: LabelScheme) -> int | None:
    """Return the label in the data set's scheme; None where the scheme leaves the class out.

    Args:
        label: the label in the source's own order; None for none of its classes.
        classes: the source's class names.
        scheme: the data set's scheme.
    Raises:
        SourceError: the one cannot be told from the other.
    """
    if label is None or classes == scheme.classes:
        return label
    if classes == FER2013.classes and scheme.fer2013 is not None:
        return scheme.fer2013[label]
    raise SourceError(
        f"the classes {', '.join(classes)} do not tell those of the scheme {scheme.name}"
        + (" (FER+ needs its votes: --ferplus fer2013new.csv)" if scheme.name == "ferplus" else "")
    )


def batched(items: Iterable[Sample | Reject]) -> Iterator[list[Sample | Reject]]:
    """Cut a stream into lists that hold neither too many pictures nor too many bytes."""
    batch: list[Sample | Reject] = []
    held = 0
    for item in items:
        batch.append(item)
        held += item.image.nbytes if isinstance(item, Sample) else 0
        if len(batch) >= PICTURES_AT_ONCE or held >= BYTES_AT_ONCE:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch
