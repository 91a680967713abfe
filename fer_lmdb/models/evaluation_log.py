"""Log of a run's evaluations: one JSON object per line in evaluations.jsonl."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fer_lmdb.io.atomic import atomic_append
from fer_lmdb.models.model import read_metadata
from fer_lmdb.models.records import read_records
from fer_lmdb.models.run_folder import EVALUATIONS, RunFolder
from fer_lmdb.renames import FILES, modernize


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
    own.sort(key=lambda record: record.get("precision", "float32") == "float32")
    newest = {(record.get("split"), record.get("tta")): record for record in own}
    return [newest[key] for key in sorted(newest, key=lambda key: (str(key[0]), int(key[1] or 1)))]


def read_all_evaluations(run: RunFolder) -> list[dict[str, Any]]:
    """Return all logged evaluations, oldest first, including those that version 0.1.0 logged to figures.jsonl.

    Raises:
        RunError: If the log is damaged.
    """
    older = [run.path / old for old, new in FILES.items() if new == EVALUATIONS]
    records = [record for path in (*older, run.evaluations) for record in read_records(path)]
    return [modernize("evaluation", record) for record in records]


def _is_of_one_run(record: Mapping[str, Any]) -> bool:
    """Tell whether a record is of a run's best model in its own label scheme, on faces that match its training."""
    models = record.get("models", [])
    return len(models) == 1 and not models[0].endswith(".safetensors") and not record.keys() & {"label_scheme", "align"}


def _is_on(digests: Mapping[str, str], record: Mapping[str, Any]) -> bool:
    """Tell whether a record is of faces with these digests; True for older records without a digest."""
    own, found = digests.get(str(record.get("split"))), record.get("data_sha256")
    return own is None or found is None or own == found


def _is_at(iteration: int | None, record: Mapping[str, Any]) -> bool:
    """Tell whether a record is of the model of an iteration; True for older records without an iteration."""
    found = record.get("iterations") or [None]
    return iteration is None or found[0] is None or found[0] == iteration
