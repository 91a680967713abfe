"""Run folder: paths, configuration, epoch log and lock of one training run.

runs/<name>/
    run.json                            options, data, seed, versions: sufficient to repeat the run
    solver.prototxt                     solver as it ran (file plus command-line options)
    train_val.prototxt                  net as it ran
    deploy.prototxt
    teacher_probabilities.safetensors   of the training faces, for distillation
    first_batch.safetensors             the first transformed batch and its targets
    checkpoints/                        models of cosine cycles, or of every k-th epoch
    snapshot.safetensors                weights, solver state and position of the newest snapshot
    best.safetensors                    model with the highest validation accuracy
    last.safetensors                    model of the newest epoch
    log.jsonl                           one record per epoch
    evaluations.jsonl                   one record per evaluation
    tensorboard/                        event files
    training.lock                       held by the training process; released by the system when that process ends
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fer_lmdb.errors import RunError
from fer_lmdb.io.atomic import atomic_write_text
from fer_lmdb.io.file_names import slug
from fer_lmdb.io.folder_kinds import DATA_SET
from fer_lmdb.renames import FILES
from fer_lmdb.runtime.locks import FileLock

RUNS = Path("runs")
CONFIG = "run.json"
CONFIG_FORMAT = "fer-lmdb run 1"
SNAPSHOT = "snapshot.safetensors"
BEST = "best.safetensors"
LAST = "last.safetensors"
LOG = "log.jsonl"
EVALUATIONS = "evaluations.jsonl"
TEACHER_FILE = "teacher_probabilities.safetensors"
CHECKPOINTS = "checkpoints"
FIRST_BATCH = "first_batch.safetensors"
PROTOTXTS = ("solver.prototxt", "train_val.prototxt", "deploy.prototxt")
SETUP_FILES = (CONFIG, *PROTOTXTS, TEACHER_FILE, FIRST_BATCH, "training.lock")
OUTPUT_FILES = (*PROTOTXTS, TEACHER_FILE, FIRST_BATCH, SNAPSHOT, BEST, LAST, LOG, EVALUATIONS, *FILES)
"""Files that a new run would overwrite; a folder with one of them is not used for it."""


@dataclass(frozen=True)
class RunFolder(os.PathLike[str]):
    """Files of one run.

    Attributes:
        path: The folder.
    """

    path: Path

    def __fspath__(self) -> str:
        return str(self.path)

    @property
    def name(self) -> str:
        """Name of the run."""
        return self.path.name

    @property
    def config(self) -> Path:
        """Path of run.json."""
        return self.path / CONFIG

    @property
    def snapshot(self) -> Path:
        """Path of the newest snapshot."""
        return self.path / SNAPSHOT

    @property
    def best(self) -> Path:
        """Path of the model with the highest validation accuracy."""
        return self.path / BEST

    @property
    def last(self) -> Path:
        """Path of the model of the newest epoch."""
        return self.path / LAST

    @property
    def log(self) -> Path:
        """Path of the epoch log."""
        return self.path / LOG

    @property
    def evaluations(self) -> Path:
        """Path of the evaluation log."""
        return self.path / EVALUATIONS

    @property
    def tensorboard(self) -> Path:
        """Folder of the TensorBoard event files."""
        return self.path / "tensorboard"

    def stored(self, name: str) -> Path:
        """Return the path of a file or folder of the run; of its old name if only that one exists."""
        path = self.path / name
        older = [self.path / old for old, new in FILES.items() if new == name]
        return next((old for old in older if old.exists() and not path.exists()), path)

    def read_config(self) -> dict[str, Any]:
        """Return run.json.

        Raises:
            RunError: If the folder is not a run, or the file is damaged.
        """
        from fer_lmdb.artifacts.base import read_object
        from fer_lmdb.artifacts.run_config import RunConfig

        try:
            remedy = "restore the file, or start a new run with --init"
            return read_object(RunConfig, self.config, RunError, remedy).to_dict()
        except FileNotFoundError:
            raise RunError(f"{self.path}: no run.json found; {self._suggestion()}") from None

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Write run.json."""
        atomic_write_text(self.config, json.dumps({"format": CONFIG_FORMAT, **config}, indent=2) + "\n")

    def read_log(self) -> list[dict[str, Any]]:
        """Return the epoch log, oldest record first; empty before the end of the first epoch.

        Raises:
            RunError: If the log is damaged.
        """
        from fer_lmdb.artifacts.base import read_lines
        from fer_lmdb.artifacts.epoch_log import EpochRecord

        try:
            records = read_lines(EpochRecord, self.log, RunError, "delete the file to continue without it")
            return [record.to_dict() for record in records]
        except FileNotFoundError:
            return []

    def write_log(self, records: list[dict[str, Any]]) -> None:
        """Write the epoch log."""
        atomic_write_text(self.log, "".join(json.dumps(record) + "\n" for record in records))

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Lock the run against other training processes, and delete partial files of a killed one.

        Raises:
            RunError: If another process is training the run.
        """
        with FileLock(self.path / "training.lock") as lock:
            if not lock.acquire():
                raise RunError(f"{self.path}: another process is training this run; wait until it finishes or stop it")
            for partial in self.path.glob("*.partial"):
                partial.unlink(missing_ok=True)
            yield

    def check_unused(self) -> None:
        """Check that a new run would overwrite nothing.

        Raises:
            RunError: If the folder is a data set, or contains a run or a file with the name of one of a run's files.
        """
        if self.config.exists():
            raise RunError(f"{self.path} already contains a run; continue it with --resume, or set another --run name")
        if DATA_SET.is_at(self.path):
            raise RunError(f"{self.path} is a data set; set another --run name")
        taken = [name for name in OUTPUT_FILES if (self.path / name).exists()]
        if taken:
            raise RunError(f"{self.path} is not a run, and its {taken[0]} would be overwritten; set another --run name")

    def remove_if_not_started(self) -> None:
        """Delete the setup files of a run that failed before its first step, so that its name can be reused.

        Only for the process that wrote them and still holds the lock.
        """
        if self.tensorboard.exists() or self.snapshot.exists():
            return
        for name in SETUP_FILES:
            (self.path / name).unlink(missing_ok=True)
        with suppress(OSError):  # the folder contains other files
            self.path.rmdir()

    def trained_at(self) -> float:
        """Return the time of the newest snapshot, or of the start of the run."""
        return next(path for path in (self.snapshot, self.config) if path.exists()).stat().st_mtime

    def _suggestion(self) -> str:
        from prototxt_like.suggest import closest_match  # this package loads PyTorch, which shell completion avoids

        names = (file.parent.name for file in self.path.parent.glob(f"*/{CONFIG}"))
        closest = closest_match(self.name, names)
        return f'did you mean "{self.path.parent / closest}"?' if closest else "pass a folder written by fer-lmdb train"


def resolve_run(name_or_path: str | os.PathLike[str]) -> RunFolder:
    """Return the run folder of a bare name (in runs/) or a path."""
    path = Path(name_or_path)
    is_run = RunFolder(path).config.is_file()
    is_bare_name = len(path.parts) == 1 and not path.is_absolute() and str(path) not in (".", "..")
    return RunFolder(RUNS / path if is_bare_name and not is_run else path)


def create_run(name_or_path: str | os.PathLike[str] | None, net_name: str) -> RunFolder:
    """Create the folder of a new run.

    Args:
        name_or_path: Name in runs/ or path; None uses the name of the net with the next free number.
        net_name: Name of the net.

    Raises:
        RunError: If the folder contains a run or files that the run would overwrite, or is a file.
    """
    if name_or_path is None:
        return _create_numbered_run(net_name)
    folder = resolve_run(name_or_path)
    try:
        folder.path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise RunError(f"{folder.path}: found a file, expected a folder; set another --run name") from error
    folder.check_unused()
    return folder


def latest_run() -> RunFolder:
    """Return the run in runs/ that was trained last.

    Raises:
        RunError: If there is none.
    """
    folders = [RunFolder(config.parent) for config in sorted(RUNS.glob(f"*/{CONFIG}"))]
    if not folders:
        raise RunError(f"no run found in {RUNS}/; start one with: fer-lmdb train")
    return max(folders, key=RunFolder.trained_at)


def _create_numbered_run(net_name: str) -> RunFolder:
    number = 1
    while True:
        folder = RunFolder(RUNS / f"{slug(net_name, default='run')}-{number:03d}")
        try:
            folder.path.mkdir(parents=True)
            return folder
        except FileExistsError:  # an existing run, or another process that is creating one
            number += 1
