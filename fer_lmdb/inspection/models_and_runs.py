"""Contents and verification of model files and run folders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fer_lmdb.errors import ERRORS, FerLmdbError
from fer_lmdb.inspection.caffe_files import describe_blob
from fer_lmdb.models.classifier import Classifier
from fer_lmdb.models.evaluation_log import read_evaluations
from fer_lmdb.models.model import Model
from fer_lmdb.models.registry import load_model
from fer_lmdb.models.run_folder import RunFolder
from fer_lmdb.training.snapshot import Snapshot

MAX_SUM_ERROR = 1e-3


def inspect_model(path: Path, verify: bool) -> dict[str, Any]:
    """Describe a model file: net, classes, preprocessing, metadata, and shape and range of each blob.

    Raises:
        ModelError: If it is damaged or not a fer-lmdb model.
    """
    model = load_model(path)
    blobs = [describe_blob(name, str(blob.dtype)[6:], blob.float().numpy()) for name, blob in model.weights.items()]
    document = {
        "net": model.name,
        "scheme": model.scheme.name,
        "classes": list(model.scheme.classes),
        "parameters": model.parameters,
        "bytes": path.stat().st_size,
        "mean": None if model.mean is None else list(model.mean.shape),
        "transform": model.transform_prototxt.split("\n"),
        "preprocessing": model.preprocessing.to_dict(),
        "metadata": model.metadata.to_dict(),
        "blobs": blobs,
    }
    return document | ({"problems": list(find_model_problems(model))} if verify else {})


def find_model_problems(model: Model) -> Iterator[str]:
    """Yield the reasons for which a model cannot classify a face."""
    for name, blob in model.weights.items():
        if not blob.isfinite().all():
            yield f"{name} contains NaN or infinite values"
    size = model.preprocessing.size
    try:
        probabilities = Classifier(model).probabilities(np.full((1, 1, size, size), 128, dtype=np.uint8))
    except ERRORS as error:
        yield str(error)
        return
    if probabilities.shape != (1, len(model.scheme)):
        yield f"returns {probabilities.shape[1]} probabilities for {len(model.scheme)} classes"
    elif not abs(float(probabilities.sum()) - 1) < MAX_SUM_ERROR:
        yield f"returns probabilities with the sum {float(probabilities.sum()):g}; expected 1"


def inspect_run(path: Path, verify: bool) -> dict[str, Any]:
    """Describe a run folder: options, epochs, best epoch and evaluations.

    Raises:
        RunError: If run.json is missing or damaged.
    """
    folder = RunFolder(path)
    log = folder.read_log()
    validated = [record for record in log if record.get("val_accuracy") is not None]
    document: dict[str, Any] = {
        "config": folder.read_config(),
        "epochs": len(log),
        "last": log[-1] if log else None,
        "best": max(validated, key=lambda record: float(record["val_accuracy"]), default=None),
        "evaluations": read_evaluations(folder),
        "files": sorted(entry.name for entry in path.iterdir()),
    }
    return document | ({"problems": list(find_run_problems(folder))} if verify else {})


def find_run_problems(folder: RunFolder) -> Iterator[str]:
    """Yield what is damaged or missing in a run folder."""
    for path in (folder.best, folder.last):
        try:
            if path.exists():
                yield from (f"{path.name}: {problem}" for problem in find_model_problems(load_model(path)))
        except FerLmdbError as error:
            yield str(error)
    try:
        if Snapshot.read(folder) is None:
            yield "no snapshot: the run was stopped before the end of its first epoch"
    except FerLmdbError as error:
        yield str(error)
