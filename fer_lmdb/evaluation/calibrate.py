"""Fit the temperature of a model or an ensemble on the validation split."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from fer_lmdb.errors import ModelError
from fer_lmdb.evaluation.evaluate import evaluate
from fer_lmdb.evaluation.metrics import calibration_error, log_loss
from fer_lmdb.evaluation.options import DataSource
from fer_lmdb.evaluation.result import EvaluationResult
from fer_lmdb.io.outputs import check_file
from fer_lmdb.models.calibration import apply_temperature, fit_temperature
from fer_lmdb.models.model import Model, read_model
from fer_lmdb.models.registry import PRETRAINED_DIR, ModelSource, load_model

SPLIT = "val"


@dataclass(frozen=True)
class CalibrationResult:
    """Temperature of a model or ensemble, and what it changes.

    Attributes:
        models: Names or paths of the models.
        temperature: Temperature of the lowest log-loss.
        split: Split that it was fitted on.
        n: Number of faces.
        data: Folder of the (first) data set.
        data_sha256: Digest of the split.
        tta: Number of TTA views averaged per face.
        accuracy: Fraction of correct predictions; a temperature does not change it.
        uncalibrated: log_loss and ece (15 bins) before.
        calibrated: log_loss and ece after.
        align: Data sets that were used, see `EvalOptions`; None for the one that matches the model's training.
        ensemble_weights: Ensemble weights; None for a single model.
        preprocessing_mismatch: See `EvaluationResult`.
        file: Model file that holds the temperature; None for an ensemble or a `Model` object.
    """

    models: list[str]
    temperature: float
    split: str
    n: int
    data: str
    data_sha256: str
    tta: int
    accuracy: float
    uncalibrated: dict[str, float]
    calibrated: dict[str, float]
    align: str | None = None
    ensemble_weights: list[float] | None = None
    preprocessing_mismatch: dict[str, dict[str, list[Any]]] | None = None
    file: Path | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the document of `calibrate --json`; entries that do not apply are left out."""
        document = {name: value for name, value in asdict(self).items() if value is not None}
        return document | ({"file": str(self.file)} if self.file else {})

    def to_metadata(self) -> dict[str, Any]:
        """Return the entry `calibration` of a model's metadata."""
        left_out = {"models", "data", "ensemble_weights", "preprocessing_mismatch", "file"}
        own = {each.name: getattr(self, each.name) for each in fields(self) if each.name not in left_out}
        return {name: value for name, value in own.items() if value is not None}


def calibrate(
    models: Model | ModelSource | Sequence[Model | ModelSource],
    data: DataSource | Sequence[DataSource],
    *,
    out: str | Path | None = None,
    tta: int = 1,
    align: str | None = None,
    device: str = "auto",
    precision: str = "float32",
    ensemble_weights: Sequence[float] | None = None,
    force: bool = False,
) -> CalibrationResult:
    """Fit a temperature on the validation split and store it in the model's metadata; the weights do not change.

    Args:
        models: A model, or several that form an ensemble. The temperature of an ensemble is not stored: pass it as
            `ensemble_temperature`.
        data: A data set, or several with the same faces preprocessed differently.
        out: Model file to write; None updates the model's own file.
        tta: Number of TTA views averaged per face: 1, 2, 4 or 10; as in later predictions.
        align: "landmarks", "box" or "both", see `EvalOptions`; as in later predictions.
        device: "auto", "cpu", "cuda", ...
        precision: Compute dtype: "float32", "bfloat16" or "auto".
        ensemble_weights: Weight of each member, 0 or more, of any sum; None weights all members equally.
        force: Whether `out` may replace a file that this program did not write.

    Raises:
        OutputError: If `out` would replace a file that is not to be replaced, see `fer_lmdb.io.outputs`.
        ModelError: If a model is missing or damaged, was trained on the validation split, or has no file to update.
        DataSetError: If the data set is missing or damaged, or does not match the model.
        OptionError: If an argument is out of range.
    """
    if out is not None:
        check_file(out, force=force, suffix=".safetensors")
    result = evaluate(
        models,
        data,
        SPLIT,
        tta=tta,
        align=align,
        device=device,
        precision=precision,
        ensemble_weights=ensemble_weights,
        ensemble_temperature=1,
        log=False,
    )
    _check_not_trained_on(result)
    target = _target(result, out)
    calibration = _fit(result)
    if target is None:
        return calibration
    model = _single_model(models, result.files[0])
    metadata = model.metadata.with_calibration(calibration.to_metadata())
    replace(model, metadata=metadata).save(target)
    return replace(calibration, file=target)


def _fit(result: EvaluationResult) -> CalibrationResult:
    temperature = fit_temperature(result.probabilities, result.labels)
    calibrated = apply_temperature(result.probabilities, temperature)
    return CalibrationResult(
        models=result.models,
        temperature=temperature,
        split=result.split,
        n=result.n,
        data=result.data,
        data_sha256=result.data_sha256,
        tta=result.tta,
        align=result.align,
        accuracy=result.accuracy,
        uncalibrated={"log_loss": result.log_loss, "ece": result.ece},
        calibrated={
            "log_loss": log_loss(calibrated, result.labels),
            "ece": calibration_error(calibrated, result.labels),
        },
        ensemble_weights=result.weights,
        preprocessing_mismatch=result.preprocessing_mismatch,
    )


def _check_not_trained_on(result: EvaluationResult) -> None:
    """Check that no model has seen the faces: its probabilities would be too high on them alone."""
    if known := result.trained_on_split:
        verb = "was" if len(known) == 1 else "were"
        raise ModelError(
            f"{', '.join(known)} {verb} trained on {SPLIT}, so a temperature fitted on it would be biased; pass a data "
            "set with other validation faces"
        )


def _target(result: EvaluationResult, out: str | Path | None) -> Path | None:
    """Return the file to write; None if the temperature is only reported."""
    if len(result.models) > 1:
        if out is not None:
            raise ModelError(
                "the temperature of an ensemble is not stored in a file; leave out --out and pass it to predict and "
                "evaluate as --ensemble-temperature"
            )
        return None
    if out is not None:
        return Path(out)
    (file,) = result.files
    if file is not None and file.parent == PRETRAINED_DIR:
        raise ModelError(f"{result.models[0]} is a pretrained model of the package; set --out to write a copy")
    if file is not None and file.is_dir():
        raise ModelError(f"{file} has Caffe's files, which hold no temperature; set --out to write a model file")
    return file


def _single_model(models: Model | ModelSource | Sequence[Model | ModelSource], file: Path | None) -> Model:
    """Return the model of a file, of a folder with Caffe's files, or the object that was passed."""
    if file is not None:
        return load_model(file) if file.is_dir() else read_model(file)
    model = models if isinstance(models, Model | str | os.PathLike) else next(iter(models))
    assert isinstance(model, Model)
    return model
