"""Read a source to its end: pictures -> faces -> spools."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_lmdb.data.build.options import BuildOptions, ProgressCallback
from fer_lmdb.data.build.preparing import FacePreprocessor
from fer_lmdb.data.build.spool import Spool, SpoolEntry
from fer_lmdb.data.sources import SPLITS, InvalidSample, Sample, Source
from fer_lmdb.errors import SourceError
from fer_lmdb.faces.preprocessing import PreparedFace
from fer_lmdb.labels import FER2013, LabelScheme
from fer_lmdb.runtime.background import prefetch
from fer_lmdb.runtime.executors import get_executor

MAX_BATCH_IMAGES = 512
MAX_BATCH_BYTES = 128 << 20
EMPTY_IMAGE = np.empty((0, 0), dtype=np.uint8)

SampleBatch = list[tuple[Sample, int]]
"""Pictures with their labels in the data set's scheme."""

OnFace = Callable[[Sample, PreparedFace, int], None]
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
class CollectedFaces:
    """Everything that was read and prepared, waiting to be written."""

    spools: dict[str, Spool]
    counts: dict[str, SplitCount]
    rejects: list[InvalidSample] = field(default_factory=list)
    dropped: list[Sample] = field(default_factory=list)
    rows: int = 0


def collect_faces(
    source: Source,
    spools: dict[str, Spool],
    options: BuildOptions,
    progress: ProgressCallback,
    on_face: OnFace | None = None,
) -> CollectedFaces:
    """Read the source to its end, prepare every face and spool it.

    Reading the next batch overlaps with finding faces in this one.

    Raises:
        SourceError: something cannot be used (without `skip_bad`), or there is nothing to train on.
    """
    classes = options.scheme.classes
    counts = {split: SplitCount(per_class=dict.fromkeys(classes, 0)) for split in SPLITS}
    collected = CollectedFaces(spools, counts)
    preparing = FacePreprocessor(options.preprocessing, options.device)
    preparing.load_detector()  # what is missing shows before anything is read
    samples = accepted(source, collected, options)
    for batch, found in get_executor(options.engine).map(preparing, samples, images_of):
        add_faces(batch, found, collected, options, on_face)
        progress("read", collected.rows, source.size_hint())
    if not len(spools["train"]):
        raise SourceError(f"{source.name} has no face to train on; expected rows or folders of a training split")
    return collected


def accepted(source: Source, gathered: CollectedFaces, options: BuildOptions) -> Iterator[SampleBatch]:
    """Yield the usable pictures of a source in batches; count the others."""
    for batch in prefetch(batched(source)):
        gathered.rows += len(batch)
        yield accept(batch, source, gathered, options)


def images_of(batch: SampleBatch) -> list[NDArray[np.uint8]]:
    """Return the pictures of a batch."""
    return [sample.image for sample, _ in batch]


def accept(
    batch: list[Sample | InvalidSample], source: Source, gathered: CollectedFaces, options: BuildOptions
) -> SampleBatch:
    """Return the usable pictures of a batch with their labels; count the others.

    Raises:
        SourceError: there is one that cannot be used, and bad ones are not to be skipped.
    """
    accepted = []
    for item in batch:
        if isinstance(item, InvalidSample):
            count_invalid(item, gathered, options)
            continue
        label = label_in_scheme(item.label, source.classes, options.scheme)
        if label is None:
            gathered.counts[item.split].left_out += 1
        else:
            accepted.append((item, label))
    return accepted


def count_invalid(reject: InvalidSample, gathered: CollectedFaces, options: BuildOptions) -> None:
    """Count a row or file that cannot be used, or stop there."""
    if not options.skip_bad:
        raise SourceError(
            f"{reject.location}: {reject.reason} (--skip-bad leaves such rows and files out and lists them)"
        )
    gathered.rejects.append(reject)
    if reject.split is not None:
        gathered.counts[reject.split].unreadable += 1


def add_faces(
    samples: SampleBatch,
    found: list[PreparedFace],
    gathered: CollectedFaces,
    options: BuildOptions,
    on_face: OnFace | None,
) -> None:
    """Count and spool the faces of one batch."""
    detected = options.preprocessing.detector != "none"
    for (sample, label), prepared in zip(samples, found, strict=True):
        counts = gathered.counts[sample.split]
        if detected and not prepared.aligned and options.on_miss == "drop":
            counts.dropped += 1
            gathered.dropped.append(replace(sample, image=EMPTY_IMAGE))
            continue
        counts.count += 1
        counts.detected += prepared.aligned
        counts.kept_unaligned += not prepared.aligned
        counts.per_class[options.scheme.classes[label]] += 1
        detection = detection_fields(prepared) if detected else ""
        gathered.spools[sample.split].add(prepared.crop, SpoolEntry(sample.name, label, detection, sample.votes))
        if on_face is not None:
            on_face(sample, prepared, label)


def detection_fields(prepared: PreparedFace) -> str:
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


def batched(items: Iterable[Sample | InvalidSample]) -> Iterator[list[Sample | InvalidSample]]:
    """Cut a stream into lists that hold neither too many pictures nor too many bytes."""
    batch: list[Sample | InvalidSample] = []
    held = 0
    for item in items:
        batch.append(item)
        held += item.image.nbytes if isinstance(item, Sample) else 0
        if len(batch) >= MAX_BATCH_IMAGES or held >= MAX_BATCH_BYTES:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch
