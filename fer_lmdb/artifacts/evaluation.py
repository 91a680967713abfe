"""Evaluations: a line of evaluations.jsonl, and the entries of a model's metadata."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from fer_lmdb.artifacts.base import Artifact, ClassNames, Count, Fraction, Number, Split, Text

Interval = Annotated[list[Fraction], Field(min_length=2, max_length=2)]


class EvaluationSummary(Artifact):
    """Metrics in the metadata of a model, all of which may be absent."""

    renamed: ClassVar[str] = "evaluation"

    models: list[Text] = Field(default_factory=list)
    iterations: list[Count | None] = Field(default_factory=list)
    split: Split | None = None
    tta: Count = 1
    precision: str = "float32"
    classes: ClassNames | None = None
    data: Text | None = None
    data_sha256: str | None = None
    n: Count | None = None
    accuracy: Fraction | None = None
    ci95: Interval | None = None
    macro_f1: Fraction | None = None
    macro_precision: Fraction | None = None
    macro_recall: Fraction | None = None
    log_loss: Number | None = None
    ece: Fraction | None = None
    per_class: dict[str, dict[str, Number]] | None = None
    confusion: list[list[Count]] | None = None
    weights: list[Number] | None = None
    label_scheme: str | None = None
    align: Any = None
    preprocessing_mismatch: dict[str, dict[str, list[Any]]] | None = None
    trained_on_split: list[Text] | None = None


class Evaluation(EvaluationSummary):
    """Metrics of a model or ensemble on a split, as `evaluate --json` prints them."""

    split: Split
    n: Count
    accuracy: Fraction
    ci95: Interval
