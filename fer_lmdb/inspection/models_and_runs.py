"""What our own model files and run folders hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fer_lmdb.errors import FerLmdbError
from fer_lmdb.inspection.caffe_files import describe_blob
from fer_lmdb.models import model as models
from fer_lmdb.models.classifier import Classifier
from fer_lmdb.models.run_folder import RunFolder
from prototxt_like.errors import PrototxtLikeError


def inspect_model(path: Path, verify: bool) -> dict[str, Any]:
    """Read a model file.

    Returns:
        net, classes, preprocessing, facts, and the shape and range of every blob.
    Raises:
        ModelError: it is damaged or no model of ours.
    """
    model = models.load_model(path)
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
        "metadata": model.metadata,
        "blobs": blobs,
    }
    return document | ({"problems": find_model_problems(model)} if verify else {})


def find_model_problems(model: models.Model) -> list[str]:
    """Return what keeps a model from classifying a face."""
    problems = [
        f"{name} holds values that are no numbers" for name, blob in model.weights.items() if not blob.isfinite().all()
    ]
    size = model.preprocessing.size
    try:
        found = Classifier(model).probabilities(np.full((1, 1, size, size), 128, dtype=np.uint8))
    except (FerLmdbError, PrototxtLikeError) as error:
        return [*problems, str(error)]
    if found.shape != (1, len(model.scheme)):
        problems.append(f"gives {found.shape[1]} probabilities for {len(model.scheme)} classes")
    elif not abs(float(found.sum()) - 1) < 1e-3:
        problems.append(f"gives probabilities that add up to {float(found.sum()):g}")
    return problems


def inspect_run(path: Path, verify: bool) -> dict[str, Any]:
    """Read a run folder: its options, how far it came, its best epoch and figures.

    Raises:
        RunError: run.json is missing or damaged.
    """
    folder = RunFolder(path)
    log = folder.read_log()
    scored = [record for record in log if record.get("val_accuracy") is not None]
    document: dict[str, Any] = {
        "config": folder.read_config(),
        "epochs": len(log),
        "last": log[-1] if log else None,
        "best": max(scored, key=lambda record: float(record["val_accuracy"]), default=None),
        "evaluations": folder.read_evaluations(),
        "files": sorted(entry.name for entry in path.iterdir()),
    }
    return document | ({"problems": list(find_run_problems(folder))} if verify else {})


def find_run_problems(folder: RunFolder) -> list[str]:
    """Return what is damaged or missing in a run folder."""
    problems = []
    for path in (folder.best, folder.last):
        try:
            if path.exists():
                problems += [f"{path.name}: {problem}" for problem in find_model_problems(models.load_model(path))]
        except FerLmdbError as error:
            problems.append(str(error))
    try:
        if folder.read_snapshot() is None:
            problems.append("no snapshot yet: the run was stopped before its first epoch had ended")
    except FerLmdbError as error:
        problems.append(str(error))
    return problems
