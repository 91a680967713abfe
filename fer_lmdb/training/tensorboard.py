"""A run's curves and pictures in TensorBoard; the step is the iteration."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch.utils.tensorboard import SummaryWriter


class TensorBoardLogger:
    """Writes TensorBoard's event files.

    A run that goes on from a snapshot tells TensorBoard to forget what was written after it,
    so curves have neither gap nor double.
    """

    def __init__(self, folder: Path | None, start: int) -> None:
        """Begin a new event file.

        Args:
            folder: where the run's event files lie; None writes nothing, for all but one of several processes.
            start: iterations done so far; what is known of later ones is forgotten.
        """
        if folder is not None:
            _rename_older_event_files(folder, int(time.time()))
        self._writer = _NullWriter() if folder is None else SummaryWriter(str(folder), purge_step=start + 1)

    def log_training(self, iteration: int, loss: float, rate: float, faces_per_second: float) -> None:
        """Add a point of the training curves."""
        self._writer.add_scalar("train/loss", loss, iteration)
        self._writer.add_scalar("train/lr", rate, iteration)
        self._writer.add_scalar("train/faces_per_second", faces_per_second, iteration)

    def log_validation(self, iteration: int, loss: float, accuracy: float) -> None:
        """Add a point of the validation curves."""
        self._writer.add_scalar("val/loss", loss, iteration)
        self._writer.add_scalar("val/accuracy", accuracy, iteration)

    def log_faces(self, iteration: int, faces: torch.Tensor) -> None:
        """Show up to 64 faces as the net sees them, each stretched to its own range.

        Args:
            iteration: the step.
            faces: (N, C, H, W) float, any range.
        """
        faces = faces[:64].float().cpu()
        low, high = faces.amin(dim=(1, 2, 3), keepdim=True), faces.amax(dim=(1, 2, 3), keepdim=True)
        faces = (faces - low) / (high - low).clamp(min=1e-6)
        self._writer.add_image("train/faces", _grid(faces), iteration)

    def log_confusion(self, iteration: int, matrix: np.ndarray, classes: Sequence[str]) -> None:
        """Show a confusion matrix; rows are true classes, columns predictions."""
        from fer_lmdb.visualization.plots import confusion_figure

        self._writer.add_figure("val/confusion", confusion_figure(matrix, classes), iteration)

    def flush(self) -> None:
        """Put everything on the disk."""
        self._writer.flush()

    def close(self) -> None:
        """Close the files."""
        self._writer.close()


class _NullWriter:
    """A writer that writes nothing."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_, **__: None


def _rename_older_event_files(folder: Path, second: int) -> None:
    """Rename event files so that all come before one that begins now.

    TensorBoard reads them in the order of their names, which begin with the second of their making: two may share it,
    and a clock that was set back would put the newest first.
    """
    files = sorted(folder.glob("events.out.tfevents.*"))
    if not files or int(files[-1].name.split(".")[3]) < second:
        return
    for number, file in enumerate(files):
        kept = file.name.split(".", 4)[4]
        file.rename(file.with_name(f"events.out.tfevents.{second - len(files) + number:010d}.{kept}"))


def _grid(faces: torch.Tensor, columns: int = 8) -> torch.Tensor:
    """Lay faces out in rows of eight: (N, C, H, W) -> (C, rows * H, 8 * W)."""
    count, channels, height, width = faces.shape
    rows = -(-count // columns)
    padded = torch.zeros(rows * columns, channels, height, width)
    padded[:count] = faces
    grid = padded.reshape(rows, columns, channels, height, width)
    # (rows, columns, C, H, W) -> (C, rows, H, columns, W)
    return grid.permute(2, 0, 3, 1, 4).reshape(channels, rows * height, columns * width)
