"""What the report of a run draws from: its folder, and the data set that it was trained on, each read when needed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from fer_lmdb.data.dataset import DataSet, check_same_data
from fer_lmdb.data.lmdb_store import SplitArrays
from fer_lmdb.errors import DataSetError, ModelError, RunError
from fer_lmdb.evaluation.metrics import compute_metrics
from fer_lmdb.models.classifier import Classifier
from fer_lmdb.models.evaluation_log import read_evaluations
from fer_lmdb.models.model import Model
from fer_lmdb.models.registry import load_model
from fer_lmdb.models.run_folder import RunFolder
from fer_lmdb.renames import modernize
from fer_lmdb.runtime.device import resolve_device
from fer_lmdb.training import early_stopping, recipe
from fer_lmdb.training.recipe import Recipe

LOGGED = {"epoch", "iteration", "lr", "train_loss"}
RECORDED = {"tta", "classes", "data", "n", "accuracy", "ci95", "macro_f1", "ece", "per_class", "confusion"}


@dataclass(frozen=True, eq=False)
class ValidationResult:
    """What the run's model says of the validation split.

    Attributes:
        faces: the split.
        probabilities: (N, C) float32.
        figures: those of `measures.compute_metrics`.
    """

    faces: SplitArrays
    probabilities: np.ndarray
    figures: dict[str, Any]


@dataclass(eq=False)
class RunData:
    """One run; every property raises where its part is missing or damaged, and the report goes on without it.

    Attributes:
        folder: the run.
        data: the data set as the user named it; None looks where the run says.
        device: where the model is computed.
    """

    folder: RunFolder
    data: Path | None = None
    device: str = "auto"

    @cached_property
    def config(self) -> dict[str, Any]:
        """run.json."""
        config = self.folder.read_config()
        expected = {"options": dict, "epoch_size": int, "data": dict}
        for key, kind in expected.items():
            if not isinstance(config, dict) or not isinstance(config.get(key), kind):
                raise RunError(f"{self.folder.config}: damaged ({key} is missing or no {kind.__name__})")
        return config

    @property
    def options(self) -> dict[str, Any]:
        """Training options under today's names."""
        return modernize("run.json, options", self.config["options"])

    @cached_property
    def log(self) -> list[dict[str, Any]]:
        """The records of the epochs."""
        try:
            log = self.folder.read_log()
        except ValueError as error:
            raise RunError(f"{self.folder.log}: damaged ({error})") from error
        if any(not isinstance(record, dict) or not record.keys() >= LOGGED for record in log):
            raise RunError(f"{self.folder.log}: damaged (a line lacks some of {', '.join(sorted(LOGGED))})")
        if not log:
            raise RunError("no epoch of this run has ended yet")
        return log

    @cached_property
    def plan(self) -> Recipe:
        """The net and the solver as they ran."""
        try:
            return recipe.load_recipe(self.folder, self.config)
        except TypeError as error:
            raise RunError(f"{self.folder.config}: has options that this version does not know ({error})") from error

    @property
    def seed(self) -> int:
        """The run's seed."""
        return int(self.config["options"].get("seed", 0))

    @property
    def finished(self) -> bool:
        """Whether the training came to its end, planned or early."""
        return self.log[-1]["iteration"] >= self.plan.iterations or early_stopping.should_stop(
            self.plan.solver, self.log
        )

    @cached_property
    def model(self) -> Model:
        """The best model by validation; without validation the newest."""
        if not (self.folder.best.exists() or self.folder.last.exists()):
            raise ModelError("no model was saved yet: no epoch of this run has ended")
        return load_model(self.folder.path)

    @cached_property
    def data_set(self) -> DataSet:
        """The very data set that the run was trained on, wherever it lies now."""
        if self.data is not None:
            return self._compared(DataSet.open(self.data))
        named = Path(self.config["options"]["data"])
        # A run that was moved together with its data set finds it beside its folder runs/.
        places = [named, self.folder.path.resolve().parent.parent / named]
        for place in places:
            if place.is_dir():
                return self._compared(DataSet.open(place))
        raise DataSetError(f"the data set {named} is not here; say with --data where it lies")

    def _compared(self, data_set: DataSet) -> DataSet:
        check_same_data(data_set, self.config["data"], "pass that data set with --data")
        return data_set

    @cached_property
    def train(self) -> SplitArrays:
        """The training split."""
        return self.data_set.read("train")

    @property
    def training_splits(self) -> list[SplitArrays]:
        """Everything that was trained on."""
        names = self.options.get("train_splits", "train").split("+")
        return [self.train if name == "train" else self.data_set.read(name) for name in names]

    @property
    def has_validation(self) -> bool:
        """Whether the validation split was kept apart."""
        return "val" not in self.options.get("train_splits", "train")

    @cached_property
    def validation(self) -> ValidationResult:
        """The model's answers on the validation split, which it must not have been trained on."""
        if not self.has_validation:
            raise RunError("this run was trained on the validation split as well; figures on it would mean nothing")
        if not self.data_set.count("val"):
            raise DataSetError("the data set has no validation split")
        classifier = Classifier(self.model, resolve_device(self.device))
        faces = self.data_set.read("val")
        probabilities = classifier.probabilities(faces.images)
        return ValidationResult(
            faces, probabilities, compute_metrics(probabilities, faces.labels, self.model.scheme.classes)
        )

    def recorded(self, split: str) -> dict[str, Any] | None:
        """Return what `evaluate` recorded last for a split, with as few views as there are; None where it did not."""
        try:
            records = [record for record in read_evaluations(self.folder) if record["split"] == split]
        except (ValueError, KeyError, TypeError) as error:
            raise RunError(f"{self.folder.evaluations}: damaged ({error!r})") from error
        if any(not record.keys() >= RECORDED for record in records):
            raise RunError(f"{self.folder.evaluations}: damaged (it lacks some of {', '.join(sorted(RECORDED))})")
        return min(records, key=lambda record: int(record["tta"]), default=None)
