"""Result of an evaluation."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from html import escape
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_lmdb.errors import MissingExtra
from fer_lmdb.evaluation.formatting import format_accuracy, format_models

NOT_IN_JSON = {"json": False}


@dataclass(frozen=True)
class EvaluationResult:
    """Metrics of a model or ensemble on a split.

    Attributes:
        models: Names or paths of the models; folders of models are expanded.
        iterations: Training iteration of each model; None if unknown.
        split: "train", "val" or "test".
        tta: Number of TTA views averaged per face.
        precision: Compute dtype.
        classes: Class names in label order.
        data: Folder of the (first) data set.
        data_sha256: Digest of the split.
        n: Number of faces.
        accuracy: Fraction of correct predictions.
        ci95: Wilson interval of the accuracy, 95 %.
        macro_f1: Mean over the classes that occur in the split.
        macro_precision: Mean over the classes that occur in the split.
        macro_recall: Mean over the classes that occur in the split.
        log_loss: Mean negative log-likelihood.
        ece: Expected calibration error, 15 bins.
        per_class: n, precision, recall and f1 by class name.
        confusion: Counts; rows are true classes, columns predicted ones.
        align: Data sets that were used, see `EvalOptions`; None for the one that matches each model's training.
        data_variants: Further data sets with other preprocessing, if there are any.
        preprocessing_mismatch: Models evaluated on faces with different preprocessing than in training, with the
            differing settings as [training, evaluation]; None if there are none.
        trained_on_split: Models that were trained on this split; None if there are none.
        label_scheme: Label scheme that the classes were mapped to; None if they were not.
        protocols: Metrics under the rules of published FER+ results, for data sets with FER+ votes.
        weights: Ensemble weights; None for a single model.
        fitted_on: Split that the weights were fitted on; None if they were given.
        temperature: Temperature of the calibration; None if the probabilities are uncalibrated.
        uncalibrated: log_loss and ece without the calibration; None if the probabilities are uncalibrated.
        comparison: Models and accuracy of the other model, and McNemar's test.
        batch_accuracies: Accuracy of each batch, see `fer_lmdb.evaluation.batch_accuracy`.
        probabilities: (N, classes) float32.
        labels: (N,) int64.
        names: Names of the faces.
        files: Model file of each model; None for a `Model` object.
        compared: Result of the other model.
    """

    models: list[str]
    iterations: list[int | None]
    split: str
    tta: int
    precision: str
    classes: list[str]
    data: str
    data_sha256: str
    n: int
    accuracy: float
    ci95: list[float]
    macro_f1: float
    macro_precision: float
    macro_recall: float
    log_loss: float
    ece: float
    per_class: dict[str, dict[str, float]]
    confusion: list[list[int]]
    align: str | None = None
    data_variants: list[str] | None = None
    preprocessing_mismatch: dict[str, dict[str, list[Any]]] | None = None
    trained_on_split: list[str] | None = None
    label_scheme: str | None = None
    protocols: dict[str, dict[str, Any]] | None = None
    weights: list[float] | None = None
    fitted_on: str | None = None
    temperature: float | None = None
    uncalibrated: dict[str, float] | None = None
    comparison: dict[str, Any] | None = None
    batch_accuracies: dict[str, Any] | None = None
    probabilities: NDArray[np.float32] = field(
        default_factory=lambda: np.zeros((0, 0), np.float32), repr=False, compare=False, metadata=NOT_IN_JSON
    )
    labels: NDArray[np.int64] = field(
        default_factory=lambda: np.zeros(0, np.int64), repr=False, compare=False, metadata=NOT_IN_JSON
    )
    names: list[str] = field(default_factory=list, repr=False, compare=False, metadata=NOT_IN_JSON)
    files: list[Path | None] = field(default_factory=list, repr=False, compare=False, metadata=NOT_IN_JSON)
    compared: EvaluationResult | None = field(default=None, repr=False, compare=False, metadata=NOT_IN_JSON)

    @property
    def correct(self) -> NDArray[np.bool_]:
        """(N,) whether the prediction of each face is correct."""
        return np.asarray(self.probabilities.argmax(axis=1) == self.labels)

    @property
    def caveats(self) -> dict[str, Any]:
        """Reasons why the metrics are not those of the models on unseen faces: mismatch and contamination."""
        found = {name: getattr(self, name) for name in ("preprocessing_mismatch", "trained_on_split")}
        return {name: value for name, value in found.items() if value}

    def to_dict(self) -> dict[str, Any]:
        """Return the document of `evaluate --json`; entries that do not apply are left out."""
        names = [each.name for each in fields(self) if each.metadata.get("json", True)]
        document = {name: getattr(self, name) for name in names}
        is_ensemble = self.weights is not None
        return {
            name: value
            for name, value in document.items()
            if value is not None or (name == "fitted_on" and is_ensemble)
        }

    def to_frame(self) -> Any:
        """Return a pandas DataFrame of n, precision, recall and F1 of each class.

        Raises:
            MissingExtra: If pandas is not installed.
        """
        try:
            pandas = import_module("pandas")
        except ImportError:
            raise MissingExtra("to_frame requires pandas, which is not installed; run: pip install pandas") from None
        return pandas.DataFrame.from_dict(self.per_class, orient="index").rename_axis("class")

    def _repr_html_(self) -> str:
        """Return a table for notebooks."""
        rows = "".join(
            f"<tr><th>{escape(name)}</th><td>{own['n']:,}</td><td>{own['precision']:.1%}</td>"
            f"<td>{own['recall']:.1%}</td><td>{own['f1']:.3f}</td></tr>"
            for name, own in self.per_class.items()
        )
        title = f"{escape(format_models(self.models))}, {self.split}: {format_accuracy(self.to_dict(), interval=True)}"
        heading = "".join(f"<th>{word}</th>" for word in ("class", "N", "precision", "recall", "F1"))
        return f"<table><caption>{title}</caption><tr>{heading}</tr>{rows}</table>"
