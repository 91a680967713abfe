"""Logging of evaluations in the run folders of the models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fer_lmdb.evaluation.result import EvaluationResult
from fer_lmdb.models.evaluation_log import append_evaluation
from fer_lmdb.models.run_folder import RunFolder


def log_evaluation(result: EvaluationResult, **extra: Any) -> list[str]:
    """Append a result to the evaluation log of every run that a model belongs to; it records uses of the test split.

    Args:
        result: The result; that of the compared model is logged as well.
        extra: Further entries of the record.

    Returns:
        A message for each log that could not be written.
    """
    problems = log_evaluation(result.compared, **extra) if result.compared else []
    record = {name: value for name, value in result.to_dict().items() if name != "batch_accuracies"} | extra
    for run in {run.path: run for file in result.files if file and (run := _run_of(file))}.values():
        try:
            append_evaluation(run, record)
        except OSError as error:
            problems.append(f"{run.evaluations}: cannot be written ({error.strerror}); this evaluation is not logged")
    return problems


def _run_of(file: Path) -> RunFolder | None:
    """Return the run that a model file belongs to: it is in the run folder or in checkpoints/."""
    for folder in (file.parent, file.parent.parent):
        if (run := RunFolder(folder)).config.is_file():
            return run
    return None
