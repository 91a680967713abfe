"""What a run folder holds, how a snapshot is written whole or not at all, and how a run goes on.

runs/<name>/
    run.json             options, data, seed, versions: enough to do the run again
    solver.prototxt      the recipe as it ran (file plus command-line options)
    train_val.prototxt   the net as it ran
    deploy.prototxt
    teacher_probabilities.safetensors   of the training faces, for distillation
    first_batch.safetensors   the first transformed batch and its targets
    checkpoints/         models of cosine cycles, or of every k-th epoch
    snapshot.safetensors weights, solver state and place of the newest snapshot
    best.safetensors     model of the best validation accuracy
    last.safetensors     model of the newest epoch
    log.jsonl            one line per epoch
    tensorboard/         curves
    training.lock        held by the process that trains; free again as soon as that one ends, however it ends
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from fer_lmdb.errors import RunError
from fer_lmdb.io.atomic import atomic_append, atomic_file, atomic_write_text
from fer_lmdb.renames import FILES, modernize
from fer_lmdb.runtime.locks import FileLock
from prototxt_like.suggest import closest_match

RUNS = Path("runs")
TEACHER_FILE = "teacher_probabilities.safetensors"
CHECKPOINTS = "checkpoints"
FIRST_BATCH = "first_batch.safetensors"
PROTOTXTS = ("solver.prototxt", "train_val.prototxt", "deploy.prototxt")
MODELS = ("snapshot.safetensors", "best.safetensors", "last.safetensors")
SETUP_FILES = ("run.json", *PROTOTXTS, TEACHER_FILE, "training.lock")
EVALUATIONS = "evaluations.jsonl"
#: What nobody else's folder may hold where a run begins.
OUTPUT_FILES = (*PROTOTXTS, TEACHER_FILE, *MODELS, "log.jsonl", EVALUATIONS, "figures.jsonl")
SNAPSHOT_FORMAT = "fer-lmdb snapshot 1"


@dataclass(frozen=True)
class Snapshot:
    """Where a training stands: tensors by name, and plain facts (iteration, best accuracy, log)."""

    tensors: dict[str, torch.Tensor]
    metadata: dict[str, Any]


@dataclass(frozen=True)
class RunFolder:
    """The files of one run."""

    path: Path

    @property
    def config(self) -> Path:
        """Return the path of run.json."""
        return self.path / "run.json"

    @property
    def snapshot(self) -> Path:
        """Return the path of the newest snapshot."""
        return self.path / "snapshot.safetensors"

    @property
    def best(self) -> Path:
        """Return the path of the best model by validation."""
        return self.path / "best.safetensors"

    @property
    def last(self) -> Path:
        """Return the path of the newest model."""
        return self.path / "last.safetensors"

    @property
    def log(self) -> Path:
        """Return the path of the log with one line per epoch."""
        return self.path / "log.jsonl"

    @property
    def evaluations(self) -> Path:
        """Return the path of the record of evaluations."""
        return self.path / EVALUATIONS

    @property
    def tensorboard(self) -> Path:
        """Return the folder of TensorBoard's event files."""
        return self.path / "tensorboard"

    @property
    def name(self) -> str:
        """Return the run's name."""
        return self.path.name

    def stored(self, name: str) -> Path:
        """Return the path of a file or folder of the run; of its old name if only that one exists."""
        path = self.path / name
        older = [self.path / old for old, new in FILES.items() if new == name]
        return next((old for old in older if old.exists() and not path.exists()), path)

    def read_config(self) -> dict[str, Any]:
        """Return run.json.

        Raises:
            RunError: this is no run folder, or the file is damaged.
        """
        try:
            config: dict[str, Any] = _mapping(self.config.read_text(encoding="utf-8"))
            _check_objects(config, "options", "data")
            _check_objects(config.get("data", {}), "counts", "sha256")
        except FileNotFoundError:
            beside = closest_match(self.name, (file.parent.name for file in self.path.parent.glob("*/run.json")))
            meant = (
                f'did you mean "{self.path.parent / beside}"' if beside else "is it a folder written by fer-lmdb train"
            )
            raise RunError(f"{self.path}: no run.json there; {meant}?") from None
        except (ValueError, RecursionError) as error:
            raise RunError(f"{self.config}: damaged ({error})") from error
        return config

    def check_unused(self) -> None:
        """Refuse a folder whose files a new run would replace.

        Raises:
            RunError: it holds a run, or a file of the name of one of a run's.
        """
        if self.config.exists():
            raise RunError(f"{self.path} holds a run already; go on with --resume, or choose another --run name")
        taken = [name for name in OUTPUT_FILES if (self.path / name).exists()]
        if taken:
            raise RunError(f"{self.path} is no run, and its {taken[0]} would be replaced; choose another --run name")

    def trained_at(self) -> float:
        """Return the time of the newest snapshot, or of the run's beginning."""
        return next(path for path in (self.snapshot, self.config) if path.exists()).stat().st_mtime

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Write run.json."""
        atomic_write_text(self.config, json.dumps(config, indent=2) + "\n")

    def read_snapshot(self) -> Snapshot | None:
        """Return the newest snapshot, None where the run was stopped before its first.

        Raises:
            RunError: the snapshot is damaged.
        """
        if not self.snapshot.exists():
            return None
        try:
            with safe_open(self.snapshot, framework="pt") as file:
                facts = json.loads((file.metadata() or {})["facts"])
                return Snapshot({key: file.get_tensor(key) for key in file.keys()}, facts)  # noqa: SIM118
        except (SafetensorError, KeyError, ValueError, TypeError, RecursionError) as error:
            raise RunError(f"{self.snapshot}: damaged ({error}); delete it to train this run from its start") from error

    def write_snapshot(self, snapshot: Snapshot) -> None:
        """Write the newest snapshot; a kill at any moment leaves the old one or the new one."""
        tensors = {key: tensor.detach().cpu().contiguous() for key, tensor in snapshot.tensors.items()}
        metadata = {"format": SNAPSHOT_FORMAT, "facts": json.dumps(snapshot.metadata)}
        with atomic_file(self.snapshot) as partial:
            save_file(tensors, partial, metadata=metadata)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes from training this run, and clear away what a killed one left half written.

        Raises:
            RunError: another process trains it.
        """
        with FileLock(self.path / "training.lock", inherited=False) as lock:
            if not lock.acquire():
                raise RunError(f"{self.path}: another process is training this run; wait until it finishes or stop it")
            for partial in self.path.glob("*.partial"):
                partial.unlink(missing_ok=True)
            yield

    def remove_if_not_started(self) -> None:
        """Take back the recipe of a run that was refused before its first step, so that its name is free again.

        For the process alone that wrote it and still holds the run.
        """
        if self.tensorboard.exists() or self.snapshot.exists():
            return
        for name in SETUP_FILES:
            (self.path / name).unlink(missing_ok=True)
        with suppress(OSError):  # something else lies there
            self.path.rmdir()

    def append_evaluation(self, evaluation: Mapping[str, Any]) -> None:
        """Append an evaluation to the record; several processes may do so at once."""
        atomic_append(self.evaluations, json.dumps(evaluation) + "\n")

    def read_evaluations(self) -> list[dict[str, Any]]:
        """Return the newest evaluation of every split and number of views, in float32 where there is one.

        Those of ensembles, on other faces than the run's own data set, or of a best model that a later epoch has
        replaced are left out: they are no figures of the run.
        """
        own = [record for record in self._read_all_evaluations() if _is_of_a_run(record)]
        digests = self.read_config().get("data", {}).get("sha256", {}) if own and self.config.exists() else {}
        iteration = self._best_iteration() if own else None
        own = [record for record in own if _is_of(digests, record) and _is_at(iteration, record)]
        own.sort(key=lambda record: record.get("precision", "float32") == "float32")
        newest = {(record.get("split"), record.get("tta")): record for record in own}
        return [newest[key] for key in sorted(newest, key=lambda key: (str(key[0]), int(key[1] or 1)))]

    def _read_all_evaluations(self) -> list[dict[str, Any]]:
        """Return all recorded evaluations, oldest first: those of earlier versions under today's keys."""
        older = [self.path / old for old, new in FILES.items() if new == EVALUATIONS]
        records = [record for path in (*older, self.evaluations) for record in _read_records(path)]
        return [modernize("evaluation", record) for record in records]

    def _best_iteration(self) -> int | None:
        """Return the iteration that the best model is of, None where that is not known."""
        try:
            with safe_open(self.best, framework="pt") as file:
                facts = json.loads(modernize("model and snapshot file", file.metadata() or {})["metadata"])
        except (SafetensorError, OSError, KeyError, ValueError, RecursionError):
            return None
        return iteration_of(facts)

    def read_log(self) -> list[dict[str, Any]]:
        """Return the log: a record per epoch, oldest first; empty before the first has ended."""
        return _read_records(self.log)

    def write_log(self, records: list[dict[str, Any]]) -> None:
        """Write the log: one JSON line per epoch."""
        atomic_write_text(self.log, "".join(json.dumps(record) + "\n" for record in records))


def _is_of_a_run(record: Mapping[str, Any]) -> bool:
    """Tell whether a record speaks of a run's best model by its own classes: not of an ensemble or a single file."""
    models = record.get("models", [])
    return len(models) == 1 and not models[0].endswith(".safetensors") and "label_scheme" not in record


def _is_of(digests: Mapping[str, str], record: Mapping[str, Any]) -> bool:
    """Tell whether a record speaks of the faces with these digests; older records do not say, and are believed."""
    own, found = digests.get(str(record.get("split"))), record.get("data_sha256")
    return own is None or found is None or own == found


def _is_at(iteration: int | None, record: Mapping[str, Any]) -> bool:
    """Tell whether a record speaks of the model of that iteration; older records do not say, and are believed."""
    found = record.get("iterations") or [None]
    return iteration is None or found[0] is None or found[0] == iteration


def iteration_of(metadata: Mapping[str, Any]) -> int | None:
    """Return the iteration after which a model was taken from its training, None where its facts do not say."""
    epoch = metadata.get("epoch")
    return epoch.get("iteration") if isinstance(epoch, dict) else None


def _mapping(text: str) -> dict[str, Any]:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError(f"found {type(value).__name__}, expected an object")
    return value


def _check_objects(table: Mapping[str, Any], *names: str) -> None:
    for name in names:
        if not isinstance(value := table.get(name, {}), dict):
            raise ValueError(f'"{name}" is {type(value).__name__}, expected an object')


def _read_records(path: Path) -> list[dict[str, Any]]:
    """Return a file's lines, each a JSON object; none where there is no file.

    Raises:
        RunError: a line is none.
    """
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        return [_mapping(line) for line in text.splitlines()]
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{path}: damaged ({error}); delete it to go on without it") from error


def resolve_run(name_or_path: str | Path) -> RunFolder:
    """Return the run folder of a bare name (below runs/) or a path."""
    path = Path(name_or_path)
    is_run = RunFolder(path).config.is_file()
    is_bare_name = len(path.parts) == 1 and not path.is_absolute() and str(path) not in (".", "..")
    return RunFolder(RUNS / path if is_bare_name and not is_run else path)


def create_run(name_or_path: str | Path | None, net_name: str) -> RunFolder:
    """Make the folder of a run that starts now: as named, or the net's name with the next free number.

    Raises:
        RunError: the folder holds a run already, or files that the run would replace, or a file is in its place.
    """
    if name_or_path is None:
        return _next_folder(net_name)
    folder = resolve_run(name_or_path)
    try:
        folder.path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise RunError(f"{folder.path}: a file is where a run's folder has to be; choose another --run name") from error
    folder.check_unused()
    return folder


def _next_folder(net_name: str) -> RunFolder:
    """Make the folder of the first number that nobody has, or takes at this moment."""
    number = 1
    while True:
        folder = RunFolder(RUNS / f"{net_name}-{number:03d}")
        try:
            folder.path.mkdir(parents=True)
            return folder
        except FileExistsError:
            number += 1


def latest_run() -> RunFolder:
    """Return the run below runs/ that was trained last.

    Raises:
        RunError: there is none.
    """
    folders = [RunFolder(config.parent) for config in sorted(RUNS.glob("*/run.json"))]
    if not folders:
        raise RunError(f"no run in {RUNS}/; start one with: fer-lmdb train")
    return max(folders, key=RunFolder.trained_at)
