"""Build options."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from fer_lmdb import ranges
from fer_lmdb.choices import ENCODINGS, EXECUTORS, ON_NO_FACE
from fer_lmdb.data.split_ratio import SplitRatio
from fer_lmdb.errors import OptionError
from fer_lmdb.faces.preprocessing import Preprocessing
from fer_lmdb.labels import FER2013, LabelOrder, LabelScheme, get_label_order, get_scheme, read_labels
from fer_lmdb.runtime.device import check_device_name
from prototxt_like.io.datum_store import Encoding


@dataclass(frozen=True)
class BuildOptions:
    """Options of ``fer-lmdb build``.

    Attributes:
        preprocessing: Detection, alignment and size of the faces.
        label_scheme: Classes of the data set and their order.
        on_no_face: "keep" an image without a detected face unaligned, or "drop" it.
        seed: Seed of the shuffle and of the random splits.
        shuffle: Whether each split is shuffled; without, it has the order of the source.
        encoding: Encoding of the images in the LMDB, "raw" or "png".
        skip_invalid: Skip and list invalid rows and files instead of stopping at the first one.
        device: Device of the face detector.
        shards: Number of databases per split; None for a single one without a shard suffix.
        executor: Where faces are detected: "local" or "ray". The data set is the same.
        label_order: Meaning of class numbers in the source, used when the source is a path. None: numbers count only in
            FER2013's csv, or if the folder has a classes.txt.
        ferplus: fer2013new.csv, whose votes are joined; used when the source is a path.
        split_ratio: Ratio of random splits for a source without splits, used when the source is a path; None: 80/10/10.
        root: Folder of the paths in an image list, used when the source is a path; None: the folder of the list or the
            working directory.

    Raises:
        OptionError: If a value is out of its range.
        DeviceError: If no device can have this name.
    """

    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    label_scheme: LabelScheme = FER2013
    on_no_face: Literal["keep", "drop"] = "keep"
    seed: int = 0
    shuffle: bool = True
    encoding: Encoding = "raw"
    skip_invalid: bool = False
    device: str = "cpu"
    shards: int | None = None
    executor: str = "local"
    label_order: LabelOrder | None = None
    ferplus: Path | None = None
    split_ratio: SplitRatio | None = None
    root: Path | None = None

    def __post_init__(self) -> None:
        for name, accepted in RANGES.items():
            if (value := getattr(self, name)) is not None or name != "shards":
                accepted.check(name, value)
        for name, known in CHOICES.items():
            if (value := getattr(self, name)) not in known:
                raise OptionError(f"invalid {name}: found {value!r}, expected one of: {', '.join(known)}")
        check_device_name(self.device)

    def with_overrides(self, **overrides: Any) -> BuildOptions:
        """Return a copy with changed fields.

        Args:
            overrides: Fields of `BuildOptions` or of `Preprocessing`, ``detector_threshold`` for the threshold of the
                latter. ``label_scheme`` and ``label_order`` may be names; ``labels`` contains the class names of a
                label order, as a file or separated by commas. ``split_ratio`` may be a text such as "80/10/10".

        Raises:
            TypeError: If there is no such field.
            SourceError: If there is no label scheme or order of this name, or the class names cannot be read.
            OptionError: If both an order and class names are given, or the ratio is none.
            DetectorError: If a value of the preprocessing is out of range.
        """
        if "detector_threshold" in overrides:
            overrides["threshold"] = overrides.pop("detector_threshold")
        if isinstance(overrides.get("label_scheme"), str):
            overrides["label_scheme"] = get_scheme(overrides["label_scheme"])
        if isinstance(overrides.get("split_ratio"), str):
            overrides["split_ratio"] = SplitRatio.parse(overrides["split_ratio"])
        overrides |= _resolve_order(overrides.pop("label_order", None), overrides.pop("labels", None))
        own = {name: overrides.pop(name) for name in _names(BuildOptions) & overrides.keys()}
        if unknown := sorted(overrides.keys() - _names(Preprocessing)):
            known = ", ".join(sorted(_names(BuildOptions) | _names(Preprocessing)))
            raise TypeError(f'unknown build option "{unknown[0]}"; expected one of: {known}')
        preprocessing = replace(own.pop("preprocessing", self.preprocessing), **overrides)
        return replace(self, preprocessing=preprocessing, **own)


RANGES = {"seed": ranges.SEED, "shards": ranges.SHARDS}
CHOICES = {"on_no_face": ON_NO_FACE, "encoding": ENCODINGS, "executor": EXECUTORS}


def _resolve_order(order: LabelOrder | str | None, labels: str | Path | None) -> dict[str, LabelOrder]:
    """Return the label order as a field, if one is given.

    Raises:
        SourceError, OptionError: See `BuildOptions.with_overrides`.
    """
    if order is not None and labels is not None:
        raise OptionError("found both a label order and class names, expected one; leave out label_order or labels")
    if labels is not None:
        return {"label_order": read_labels(str(labels))}
    if isinstance(order, str):
        order = get_label_order(order)
    return {} if order is None else {"label_order": order}


def _names(options: type) -> set[str]:
    return {each.name for each in fields(options)}
