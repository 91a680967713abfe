"""Inputs of a run's report: run folder and data set, each part read when it is needed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from fer_lmdb.data.caffe_folder import is_caffe_location
from fer_lmdb.data.dataset import DataSet, check_same_data
from fer_lmdb.errors import DataSetError, ModelError, RunError
from fer_lmdb.evaluation.evaluate import run_evaluation
from fer_lmdb.evaluation.options import EvalOptions
from fer_lmdb.labels import recorded_labels
from fer_lmdb.models.evaluation_log import read_evaluations
from fer_lmdb.models.model import Model
from fer_lmdb.models.registry import load_model
from fer_lmdb.models.run_folder import RunFolder
from fer_lmdb.training import early_stopping
from fer_lmdb.training.recipe import Recipe, load_recipe
from prototxt_like.io.datum_store import SplitArrays

RECORDED = {"tta", "classes", "data", "n", "accuracy", "ci95", "macro_f1", "ece", "per_class", "confusion"}


@dataclass(frozen=True, eq=False)
class ValidationResult:
    """Predictions of the run's model on the validation split.

    Attributes:
        faces: Validation split.
        probabilities: (N, C) float32.
        metrics: Result of `evaluate` as a dict.
    """

    faces: SplitArrays
    probabilities: np.ndarray
    metrics: dict[str, Any]


@dataclass(eq=False)
class RunData:
    """One run; each property raises if its file is missing or damaged, and the report omits what depends on it.

    Attributes:
        folder: Run folder.
        data: Data set folder; None for the one recorded in run.json.
        device: Torch device for the evaluation.
    """

    folder: RunFolder
    data: Path | None = None
    device: str = "auto"

    @cached_property
    def config(self) -> dict[str, Any]:
        """Contents of run.json."""
        return self.folder.read_config()

    @property
    def options(self) -> dict[str, Any]:
        """Training options under their current names."""
        options: dict[str, Any] = self.config["options"]
        return options

    @cached_property
    def log(self) -> list[dict[str, Any]]:
        """Log records, one per epoch."""
        log = self.folder.read_log()
        if not log:
            raise RunError("no epoch of this run has finished")
        return log

    @cached_property
    def recipe(self) -> Recipe:
        """Net and solver of the run."""
        return load_recipe(self.folder, self.config)

    @property
    def seed(self) -> int:
        """Seed of the run."""
        return int(self.config["options"].get("seed") or 0)

    @property
    def finished(self) -> bool:
        """Whether training reached its last iteration or stopped early."""
        iteration = self.log[-1]["iteration"]
        return iteration >= self.recipe.iterations or early_stopping.should_stop(self.recipe.solver, self.log)

    @property
    def has_model(self) -> bool:
        """Whether a model was saved."""
        return self.folder.best.exists() or self.folder.last.exists()

    @cached_property
    def model(self) -> Model:
        """Best model by validation, or the last one without validation."""
        if not self.has_model:
            raise ModelError("no model was saved: no epoch of this run has finished")
        return load_model(self.folder.path)

    @cached_property
    def data_set(self) -> DataSet:
        """Data set of the run, found by `data`, by the recorded path, or beside the folder that contains runs/."""
        labels = recorded_labels(self.config)
        if self.data is not None:
            return self._checked(DataSet.open(self.data, labels))
        recorded = Path(self.config["options"]["data"])
        for folder in (recorded, self.folder.path.resolve().parent.parent / recorded):
            if folder.is_dir() or is_caffe_location(folder):
                return self._checked(DataSet.open(folder, labels))
        raise DataSetError(f"the data set {recorded} was not found; set its location with --data")

    def _checked(self, data_set: DataSet) -> DataSet:
        check_same_data(data_set, self.config.get("data", {}), "pass that data set with --data")
        return data_set

    @cached_property
    def train(self) -> SplitArrays:
        """Training split."""
        return self.data_set.read("train")

    @property
    def has_validation(self) -> bool:
        """Whether the validation split was not used for training."""
        return "val" not in self.options.get("train_splits", "train")

    @cached_property
    def validation(self) -> ValidationResult:
        """Evaluation of the model on the validation split."""
        if not self.has_validation:
            raise RunError("this run was trained on the validation split, so metrics on it would be meaningless")
        if not self.data_set.count("val"):
            raise DataSetError("the data set has no validation split")
        result = run_evaluation(EvalOptions([self.model], [self.data_set], "val", device=self.device))
        return ValidationResult(self.data_set.read("val"), result.probabilities, result.to_dict())

    def recorded(self, split: str) -> dict[str, Any] | None:
        """Return the recorded evaluation of a split with the fewest TTA views; None if there is none.

        Raises:
            RunError: If the evaluations are damaged.
        """
        records = [record for record in read_evaluations(self.folder) if record["split"] == split]
        if any(not record.keys() >= RECORDED for record in records):
            raise RunError(f"{self.folder.evaluations}: damaged (a record lacks one of {', '.join(sorted(RECORDED))})")
        return min(records, key=lambda record: record.get("tta", 1), default=None)
