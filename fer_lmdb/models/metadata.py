"""Metadata of a model: how it was trained, on which data, and its evaluations."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fer_lmdb.renames import modernize


@dataclass(frozen=True)
class ModelMetadata:
    """Typed view of the metadata in a model file.

    Every property tolerates missing and malformed entries: a model without metadata still predicts.

    Attributes:
        values: The JSON object under today's keys; entries that no property reads are preserved.
    """

    values: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> ModelMetadata:
        """Read metadata of this version or an earlier one.

        Raises:
            TypeError: If `stored` is not an object.
        """
        if not isinstance(stored, Mapping):
            raise TypeError(f"metadata is {type(stored).__name__}, expected an object")
        values = modernize("model metadata", stored)
        if isinstance(evaluations := values.get("evaluations"), list):
            values["evaluations"] = [modernize("evaluation", each) for each in evaluations if isinstance(each, dict)]
        if isinstance(init := values.get("init"), dict):
            values["init"] = modernize("model metadata, init", init)
        if isinstance(recipe := values.get("recipe"), dict) and isinstance(options := recipe.get("options"), dict):
            values["recipe"] = {**recipe, "options": modernize("run.json, options", options)}
        return cls(values)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object."""
        return dict(self.values)

    def with_evaluations(self, evaluations: list[dict[str, Any]]) -> ModelMetadata:
        """Return the metadata with other evaluations."""
        return ModelMetadata({**self.values, "evaluations": evaluations})

    def with_calibration(self, calibration: dict[str, Any] | None) -> ModelMetadata:
        """Return the metadata with another calibration, or without one."""
        others = {name: value for name, value in self.values.items() if name != "calibration"}
        return ModelMetadata(others if calibration is None else {**others, "calibration": calibration})

    @property
    def calibration(self) -> dict[str, Any]:
        """Temperature and what it was fitted on, see `fer_lmdb.evaluation.calibrate`; empty if not calibrated."""
        return _table(self.values.get("calibration"))

    @property
    def temperature(self) -> float:
        """Temperature of the calibration, greater than 0; 1 if there is none."""
        found = self.calibration.get("temperature")
        is_valid = isinstance(found, int | float) and not isinstance(found, bool) and 0 < found < math.inf
        return float(found) if found is not None and is_valid else 1.0

    @property
    def evaluations(self) -> list[dict[str, Any]]:
        """Evaluations of the model, each as in `evaluate --json`."""
        found = self.values.get("evaluations")
        return found if isinstance(found, list) else []

    @property
    def init(self) -> dict[str, Any]:
        """Model that the weights were initialized from, and the layers loaded; empty if trained from scratch."""
        return _table(self.values.get("init"))

    @property
    def recipe(self) -> dict[str, Any]:
        """Training options, solver, TRAIN transform and compute dtype."""
        return _table(self.values.get("recipe"))

    @property
    def options(self) -> dict[str, Any]:
        """Training options."""
        return _table(self.recipe.get("options"))

    @property
    def data(self) -> dict[str, Any]:
        """Fingerprint of the training data, see `DataSet.fingerprint`."""
        return _table(self.values.get("data"))

    @property
    def selected(self) -> str | None:
        """Criterion by which this model was selected from the run."""
        found = self.values.get("selected")
        return found if isinstance(found, str) else None

    @property
    def epoch(self) -> dict[str, Any]:
        """Log record of the epoch that the model was saved at; the iteration alone between epochs."""
        return _table(self.values.get("epoch"))

    @property
    def iteration(self) -> int | None:
        """Training iteration after which the model was saved; None if unknown."""
        found = self.epoch.get("iteration")
        return found if isinstance(found, int) else None

    @property
    def train_transform(self) -> str:
        """TransformationParameter of the TRAIN phase as text; empty if unknown."""
        return str(self.recipe.get("transform", ""))

    @property
    def train_splits(self) -> list[str]:
        """Splits that the model was trained on."""
        return str(self.options.get("train_splits", "train")).split("+")


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
