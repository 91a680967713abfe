"""Log of a run's evaluations: one JSON object per line in evaluations.jsonl."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from fer_lmdb.errors import RunError
from fer_lmdb.io.atomic import atomic_append
from fer_lmdb.models.model import read_metadata
from fer_lmdb.models.run_folder import EVALUATIONS, RunFolder
from fer_lmdb.renames import FILES

if TYPE_CHECKING:
    from fer_lmdb.artifacts.evaluation import Evaluation


def append_evaluation(run: RunFolder, evaluation: Mapping[str, Any]) -> None:
    """Append an evaluation; concurrent processes do not overwrite each other.

    Raises:
        OSError: If the file cannot be written.
    """
    atomic_append(run.evaluations, json.dumps(evaluation) + "\n")


def read_evaluations(run: RunFolder) -> list[dict[str, Any]]:
    """Return the newest evaluation of the run for each split and number of TTA views, in float32 if there is one.

    Left out are evaluations of ensembles, with --align, on other data than the run's own, by another label scheme, and
    of a best model that a later epoch has replaced.

    Raises:
        RunError: If the log is damaged.
    """
    own = [record for record in read_all_evaluations(run) if _is_of_one_run(record)]
    digests = run.read_config().get("data", {}).get("sha256", {}) if own and run.config.exists() else {}
    best = read_metadata(run.best) if own else None
    iteration = best.iteration if best else None
    own = [record for record in own if _is_on(digests, record) and _is_at(iteration, record)]
    own.sort(key=lambda record: record.precision == "float32")
    newest = {(record.split, record.tta): record for record in own}
    return [newest[key].to_dict() for key in sorted(newest)]


def read_all_evaluations(run: RunFolder) -> list[Evaluation]:
    """Return all logged evaluations, oldest first, including those that version 0.1.0 logged to figures.jsonl.

    Raises:
        RunError: If the log is damaged.
    """
    from fer_lmdb.artifacts.base import read_lines
    from fer_lmdb.artifacts.evaluation import Evaluation

    older = [run.path / old for old, new in FILES.items() if new == EVALUATIONS]
    records: list[Evaluation] = []
    for path in (*older, run.evaluations):
        with suppress(FileNotFoundError):
            records += read_lines(Evaluation, path, RunError, "delete the file to continue without it")
    return records


def _is_of_one_run(record: Evaluation) -> bool:
    """Tell whether a record is of a run's best model in its own label scheme, on faces that match its training."""
    is_single = len(record.models) == 1 and not record.models[0].endswith(".safetensors")
    return is_single and record.label_scheme is None and record.align is None


def _is_on(digests: Mapping[str, str | None], record: Evaluation) -> bool:
    """Tell whether a record is of faces with these digests; True for older records without a digest."""
    own = digests.get(record.split)
    return own is None or record.data_sha256 is None or own == record.data_sha256


def _is_at(iteration: int | None, record: Evaluation) -> bool:
    """Tell whether a record is of the model of an iteration; True for older records without an iteration."""
    found = record.iterations or [None]
    return iteration is None or found[0] is None or found[0] == iteration
