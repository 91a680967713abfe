"""Read a source, preprocess its faces and spool them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_lmdb.choices import SPLITS
from fer_lmdb.data.build.invalid_samples import check_samples, raise_invalid
from fer_lmdb.data.build.options import BuildOptions
from fer_lmdb.data.build.spool import Spool, SpoolEntry
from fer_lmdb.data.detections import detection_fields
from fer_lmdb.data.sources import InvalidSample, Sample, Source
from fer_lmdb.errors import SourceError
from fer_lmdb.faces.detectors.base import Detector
from fer_lmdb.faces.preprocessing import PreparedFace, Preprocessing, preprocess_faces, to_planes
from fer_lmdb.labels import FER2013, LabelScheme
from fer_lmdb.runtime.background import prefetch
from fer_lmdb.runtime.executors import get_executor
from fer_lmdb.runtime.progress import ProgressCallback

MAX_BATCH_IMAGES = 512
MAX_BATCH_BYTES = 128 << 20
EMPTY_IMAGE = np.empty((0, 0), dtype=np.uint8)

SampleBatch = list[tuple[Sample, int]]
"""Samples with their labels in the data set's scheme."""

OnFace = Callable[[Sample, PreparedFace, int], None]
"""Called for each face of the data set with its label."""


@dataclass
class SplitCount:
    """Counts of the images of one split by outcome.

    Attributes:
        count: Faces in the database.
        detected: Faces found by the detector and aligned.
        unaligned: Images without a detected face that are in the database.
        dropped: Images without a detected face that are not.
        unlabeled: Images whose class is not in the label scheme.
        unreadable: Invalid rows or files.
        per_class: Faces per class.
    """

    count: int = 0
    detected: int = 0
    unaligned: int = 0
    dropped: int = 0
    unlabeled: int = 0
    unreadable: int = 0
    per_class: dict[str, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for the manifest."""
        return asdict(self)


class FacePreprocessor:
    """Picklable function from images to faces. The detector is loaded on first use and not pickled.

    Args:
        preprocessing: Detection and alignment settings.
        device: Device of the detector.
    """

    def __init__(self, preprocessing: Preprocessing, device: str = "cpu") -> None:
        self.preprocessing = preprocessing
        self.device = device

    @cached_property
    def detector(self) -> Detector | None:
        """Face detector; None if the preprocessing uses none."""
        return self.preprocessing.load_detector(self.device)

    def __call__(self, images: list[NDArray[np.uint8]]) -> list[PreparedFace]:
        """Return the face of each image, see `fer_lmdb.faces.preprocessing.preprocess_faces`."""
        return preprocess_faces(images, self.preprocessing, self.detector)

    def __getstate__(self) -> dict[str, Any]:
        return {"preprocessing": self.preprocessing, "device": self.device}


class Collector:
    """Preprocesses and spools the faces of a source, and counts its samples by outcome.

    Args:
        source: The samples.
        spools: Spool of each split.
        options: Build options.
        on_face: Called for each face of the data set.

    Attributes:
        counts: Counts by split.
        invalid: Rows and files that were skipped.
        dropped: Samples without a detected face that were dropped, without their images.
        rows: Samples read.
    """

    def __init__(
        self, source: Source, spools: dict[str, Spool], options: BuildOptions, on_face: OnFace | None = None
    ) -> None:
        self.source, self.spools, self.options, self._on_face = source, spools, options, on_face
        classes = options.label_scheme.classes
        self.counts = {split: SplitCount(per_class=dict.fromkeys(classes, 0)) for split in SPLITS}
        self.invalid: list[InvalidSample] = []
        self.dropped: list[Sample] = []
        self.rows = 0

    def run(self, progress: ProgressCallback) -> None:
        """Read the source to its end. Reading a batch overlaps with detection in the previous one.

        Without `skip_invalid` the source is read twice if faces are detected: all invalid samples are reported before.

        Raises:
            SourceError: If a sample is invalid (without `skip_invalid`), or there is no training face.
            DetectorError: If the detector cannot be loaded.
        """
        preprocessor = FacePreprocessor(self.options.preprocessing, self.options.device)
        _ = preprocessor.detector  # loaded first, so that a missing package is reported before anything is read
        if not self.options.skip_invalid and preprocessor.detector is not None:
            check_samples(self.source, progress)
        batches = map(self._accept, prefetch(batched(self.source)))
        for batch, faces in get_executor(self.options.executor).map(preprocessor, batches, _images):
            for (sample, label), prepared in zip(batch, faces, strict=True):
                self._add(sample, label, prepared)
            progress("read", self.rows, self.source.size_hint())
        if self.invalid and not self.options.skip_invalid:
            raise_invalid(self.invalid)
        if not len(self.spools["train"]):
            raise SourceError(
                f"{self.source.name} has no face to train on; expected rows or folders of a training split"
            )

    def _accept(self, batch: list[Sample | InvalidSample]) -> SampleBatch:
        """Return the usable samples of a batch with their labels; count the others."""
        self.rows += len(batch)
        accepted = []
        for item in batch:
            if isinstance(item, InvalidSample):
                self._count_invalid(item)
                continue
            label = label_in_scheme(item.label, self.source.classes, self.options.label_scheme)
            if label is None:
                self.counts[item.split].unlabeled += 1
            else:
                accepted.append((item, label))
        return accepted

    def _count_invalid(self, sample: InvalidSample) -> None:
        self.invalid.append(sample)
        if sample.split is not None:
            self.counts[sample.split].unreadable += 1

    def _add(self, sample: Sample, label: int, prepared: PreparedFace) -> None:
        counts, detecting = self.counts[sample.split], self.options.preprocessing.detector != "none"
        if detecting and not prepared.aligned and self.options.on_no_face == "drop":
            counts.dropped += 1
            self.dropped.append(replace(sample, image=EMPTY_IMAGE))
            return
        counts.count += 1
        counts.detected += prepared.aligned
        counts.unaligned += not prepared.aligned
        counts.per_class[self.options.label_scheme.classes[label]] += 1
        detection = detection_fields(prepared) if detecting else None
        entry = SpoolEntry(sample.name, label, detection, sample.votes)
        self.spools[sample.split].add(to_planes([prepared.crop])[0], entry)
        if self._on_face is not None:
            self._on_face(sample, prepared, label)


def label_in_scheme(label: int | None, classes: tuple[str, ...], scheme: LabelScheme) -> int | None:
    """Return a source's label in the data set's scheme, or None if the scheme has no such class.

    Args:
        label: Label in the order of `classes`, or None.
        classes: Class names of the source.
        scheme: Label scheme of the data set.

    Raises:
        SourceError: If the classes cannot be mapped to the scheme.
    """
    if label is None or classes == scheme.classes:
        return label
    if classes == FER2013.classes and scheme.fer2013 is not None:
        return scheme.fer2013[label]
    raise SourceError(
        f"the classes {', '.join(classes)} cannot be mapped to the label scheme {scheme.name}"
        + ("; add FER+'s votes with: --ferplus fer2013new.csv" if scheme.name == "ferplus" else "")
    )


def batched(items: Iterable[Sample | InvalidSample]) -> Iterator[list[Sample | InvalidSample]]:
    """Group samples into lists of at most `MAX_BATCH_IMAGES` items and about `MAX_BATCH_BYTES`."""
    batch: list[Sample | InvalidSample] = []
    size = 0
    for item in items:
        batch.append(item)
        size += item.image.nbytes if isinstance(item, Sample) else 0
        if len(batch) >= MAX_BATCH_IMAGES or size >= MAX_BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _images(batch: SampleBatch) -> list[NDArray[np.uint8]]:
    return [sample.image for sample, _ in batch]
