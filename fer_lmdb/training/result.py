"""Result of a training run."""

from __future__ import annotations

import os
from dataclasses import dataclass
from html import escape
from importlib import import_module
from typing import Any

from fer_lmdb.errors import MissingExtra
from fer_lmdb.models.run_folder import RunFolder
from fer_lmdb.training.init_weights import InitReport


@dataclass(frozen=True)
class TrainResult(os.PathLike[str]):
    """Result of a training run.

    Attributes:
        run: Run folder.
        finished: Whether training is complete; False after a stop request.
        iteration: Iterations done.
        log: One record per epoch: epoch, iteration, lr, train_loss, and with a validation split val_loss, val_accuracy,
            val_ece.
        best: Record of the epoch with the best model, or None before the end of the first epoch.
        init_report: Layers loaded by --init, or None.
    """

    run: RunFolder
    finished: bool
    iteration: int
    log: list[dict[str, Any]]
    best: dict[str, Any] | None
    init_report: InitReport | None = None

    def __fspath__(self) -> str:
        """Return the path of the run folder, so that functions that accept a run accept its result."""
        return str(self.run.path)

    def to_dict(self) -> dict[str, Any]:
        """Return the values that `fer-lmdb train --json` prints."""
        return {
            "run": str(self.run.path),
            "finished": self.finished,
            "iteration": self.iteration,
            "epochs": len(self.log),
            "best": self.best,
        }

    def to_frame(self) -> Any:
        """Return the log as a pandas DataFrame with one row per epoch.

        Raises:
            MissingExtra: If pandas is not installed.
        """
        try:
            pandas = import_module("pandas")
        except ModuleNotFoundError:
            raise MissingExtra("to_frame requires pandas, which is not installed; run: pip install pandas") from None
        return pandas.DataFrame(self.log)

    def _repr_html_(self) -> str:
        """Return an HTML table of the log for notebooks."""
        state = "finished" if self.finished else "stopped"
        head = f"<p>{escape(str(self.run.path))}: {state} after {self.iteration} iterations</p>"
        if not self.log:
            return head
        names = list(self.log[0])
        header = "".join(f"<th>{escape(name)}</th>" for name in names)
        rows = "".join(_row(record, names, record is self.best or record == self.best) for record in self.log)
        return f"{head}<table><tr>{header}</tr>{rows}</table>"


def _row(record: dict[str, Any], names: list[str], is_best: bool) -> str:
    values = (record.get(name, "") for name in names)
    texts = (f"{value:.4g}" if isinstance(value, float) else str(value) for value in values)
    tag = "b" if is_best else "span"
    return "<tr>" + "".join(f"<td><{tag}>{escape(text)}</{tag}></td>" for text in texts) + "</tr>"
