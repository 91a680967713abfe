"""State of a training run besides weights, optimizer and random numbers."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

import prototxt_like as pl
from fer_lmdb.training.init_weights import InitReport


@dataclass
class TrainState:
    """State that a snapshot saves beside the state of net and solver.

    The number of iterations is not part of it: the solver counts them.

    Attributes:
        loss_sum: Sum of the losses of the current epoch, float64 scalar on the training device.
        loss_count: Number of losses in the sum.
        recent_losses: Losses of the last `average_loss` iterations.
        log: One record per epoch.
        best: Record of the epoch with the best model.
        init_report: Layers loaded by --init, or None.
    """

    loss_sum: Tensor
    recent_losses: deque[Tensor]
    loss_count: int = 0
    log: list[dict[str, Any]] = field(default_factory=list)
    best: dict[str, Any] | None = None
    init_report: InitReport | None = None

    @classmethod
    def start(
        cls, solver: pl.SolverParameter, device: torch.device, init_report: InitReport | None = None
    ) -> TrainState:
        """Return the state before the first iteration."""
        loss_sum = torch.zeros((), dtype=torch.float64, device=device)
        return cls(loss_sum, deque(maxlen=solver.average_loss), init_report=init_report)

    def add_loss(self, loss: Tensor) -> None:
        """Record the loss of an iteration, a scalar tensor."""
        self.loss_sum += loss
        self.loss_count += 1
        self.recent_losses.append(loss)

    def reset_epoch(self) -> None:
        """Start the loss of a new epoch."""
        self.loss_sum.zero_()
        self.loss_count = 0

    @property
    def epoch_loss(self) -> Tensor:
        """Mean loss of the current epoch, a float64 scalar."""
        return self.loss_sum / max(self.loss_count, 1)

    @property
    def smoothed_loss(self) -> Tensor:
        """Mean loss of the last `average_loss` iterations, as Caffe displays it."""
        if len(self.recent_losses) == 1:
            return self.recent_losses[0]
        return torch.stack(list(self.recent_losses)).mean()

    def state_dict(self) -> dict[str, Any]:
        """Return the state: loss_sum is a tensor, all other values can be stored as JSON."""
        recent = torch.stack(list(self.recent_losses)).tolist() if self.recent_losses else []
        return {
            "loss_sum": self.loss_sum,
            "loss_count": self.loss_count,
            "recent_losses": recent,
            "log": self.log,
            "best": self.best,
            "initial": self.init_report.to_dict() if self.init_report else None,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state."""
        self.loss_sum.copy_(state["loss_sum"])
        self.loss_count = state["loss_count"]
        self.recent_losses.clear()
        device = self.loss_sum.device
        self.recent_losses.extend(torch.tensor(loss, device=device) for loss in state["recent_losses"])
        self.log, self.best = state["log"], state["best"]
        self.init_report = InitReport.from_dict(state["initial"]) if state.get("initial") else None
