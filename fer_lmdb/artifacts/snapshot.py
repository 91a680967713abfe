"""Snapshot of a run: the texts of its safetensors metadata."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from fer_lmdb.artifacts.base import Artifact, Count, Number
from fer_lmdb.artifacts.epoch_log import EpochRecord
from fer_lmdb.artifacts.model_file import InitRecord

FORMAT = "fer-lmdb snapshot 1"
ENCODED = ("metadata",)


class SolverValues(Artifact):
    """Plain values of a solver: counters, recent losses, and values of each parameter by its number."""

    iteration: Count
    losses: list[Number]
    plain: dict[str, dict[str, Any]]


class SnapshotState(Artifact):
    """State of a training run besides its tensors."""

    iteration: Count
    loss_count: Count
    recent_losses: list[Number] = Field(default_factory=list)
    log: list[EpochRecord]
    best: EpochRecord | None
    initial: InitRecord | None = None
    solver: SolverValues


class SnapshotTexts(Artifact):
    """Texts of a snapshot, JSON decoded."""

    renamed: ClassVar[str] = "model and snapshot file"

    format: Literal["fer-lmdb snapshot 1"]
    metadata: SnapshotState
