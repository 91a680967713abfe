"""Options of an evaluation."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from fer_lmdb.choices import FACE_ALIGNMENTS, PRECISIONS, SPLITS, TTA_VIEWS
from fer_lmdb.data.dataset import DataSet
from fer_lmdb.errors import DataSetError, OptionError
from fer_lmdb.models.model import Model
from fer_lmdb.models.registry import ModelSource
from fer_lmdb.ranges import NON_NEGATIVE
from fer_lmdb.runtime.device import check_device_name

DataSource = DataSet | str | os.PathLike[str]


@dataclass(frozen=True)
class EvalOptions:
    """Models, data and settings of an evaluation.

    Attributes:
        models: Models to evaluate: pretrained names, model files, run folders, names of runs, folders of models, or
            `Model` objects. Several form an ensemble.
        data: Data sets: one, or several with the same faces preprocessed differently. Each model is evaluated on the
            one that matches its training; the labels are those of the first. An empty list selects the data of the
            first model, see `fer_lmdb.evaluation.default_data`.
        split: "train", "val" or "test".
        tta: Number of TTA views averaged per face: 1, 2, 4 or 10.
        align: Data sets to use: "landmarks" (aligned faces), "box" (unaligned ones), or "both" to average the
            probabilities of each model on the two; None uses the one that matches the model's training.
        device: "auto", "cpu", "cuda", ...
        precision: Compute dtype: "float32", "bfloat16", or "auto" for bfloat16 if the device supports it natively.
        ensemble_weights: Weight of each member, 0 or more, of any sum; None weights all members equally.
        ensemble_temperature: Temperature that calibrates the average, greater than 0; None uses the geometric mean of
            the models' temperatures, 1 evaluates uncalibrated probabilities.
        fit_weights_on: Split to fit the weights on: "val" or "train"; None uses `ensemble_weights`.
        compare_to: Another model or ensemble to compare with by McNemar's test.
        label_scheme: Scheme to map FER2013's seven classes to: "merged" or "without-disgust"; None keeps the classes.
        labels: Class names of databases without a manifest, see `DataSet.open`; None assumes those of the model.
        batch_accuracies: Whether to compute the accuracy of each batch of 100 faces.

    Raises:
        DataSetError: If a split is unknown, or weights would be fitted on the test split.
        OptionError: If the number of TTA views or the precision is not supported, a weight is out of range, or weights
            are both given and fitted.
        DeviceError: If no device can have this name.
    """

    models: Sequence[Model | ModelSource]
    data: Sequence[DataSource]
    split: str = "val"
    tta: int = 1
    align: str | None = None
    device: str = "auto"
    precision: str = "float32"
    ensemble_weights: Sequence[float] | None = None
    ensemble_temperature: float | None = None
    fit_weights_on: str | None = None
    compare_to: Sequence[Model | ModelSource] = ()
    label_scheme: str | None = None
    labels: str | None = None
    batch_accuracies: bool = False

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise DataSetError(f'unknown split "{self.split}"; use one of {", ".join(SPLITS)}')
        if self.fit_weights_on not in (None, "train", "val"):
            raise DataSetError(
                f'ensemble weights are never fitted on "{self.fit_weights_on}": metrics on the faces that selected '
                "them would be biased; use val"
            )
        check_device_name(self.device)
        if self.precision not in PRECISIONS:
            raise OptionError(f"invalid precision: found {self.precision!r}, expected one of: {', '.join(PRECISIONS)}")
        if self.align not in (None, *FACE_ALIGNMENTS):
            raise OptionError(f"invalid align: found {self.align!r}, expected one of: {', '.join(FACE_ALIGNMENTS)}")
        for weight in () if self.ensemble_weights is None else self.ensemble_weights:
            NON_NEGATIVE.check("ensemble_weights", weight)
        if isinstance(self.tta, bool) or self.tta not in TTA_VIEWS:
            raise OptionError(f"{self.tta} TTA views are not supported; use one of {', '.join(map(str, TTA_VIEWS))}")
        if self.ensemble_weights is not None and self.fit_weights_on is not None:
            raise OptionError("ensemble_weights and fit_weights_on are mutually exclusive; pass one of them")
