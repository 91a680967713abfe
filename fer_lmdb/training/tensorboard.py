"""TensorBoard logging of a run; the step is the iteration."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch.utils.tensorboard import SummaryWriter


class TensorBoardLogger:
    """Write TensorBoard event files.

    A resumed run purges the events after its snapshot, so that curves have neither gaps nor duplicates.
    """

    def __init__(self, folder: Path | None, start: int) -> None:
        """Start a new event file.

        Args:
            folder: Folder of the event files; None writes nothing.
            start: Iterations done so far; events of later ones are purged.
        """
        if folder is not None:
            _rename_older_event_files(folder, int(time.time()))
        self._writer = _NullWriter() if folder is None else SummaryWriter(str(folder), purge_step=start + 1)

    def log_training(self, iteration: int, loss: float, lr: float, faces_per_second: float) -> None:
        """Add a point to the training curves."""
        self._writer.add_scalar("train/loss", loss, iteration)
        self._writer.add_scalar("train/lr", lr, iteration)
        self._writer.add_scalar("train/faces_per_second", faces_per_second, iteration)

    def log_validation(self, iteration: int, loss: float, accuracy: float) -> None:
        """Add a point to the validation curves."""
        self._writer.add_scalar("val/loss", loss, iteration)
        self._writer.add_scalar("val/accuracy", accuracy, iteration)

    def log_faces(self, iteration: int, faces: torch.Tensor) -> None:
        """Add an image of up to 64 network inputs, each normalized to its own range.

        Args:
            iteration: Step.
            faces: (N, C, H, W) float in any range.
        """
        faces = faces[:64].float().cpu()
        low, high = faces.amin(dim=(1, 2, 3), keepdim=True), faces.amax(dim=(1, 2, 3), keepdim=True)
        faces = (faces - low) / (high - low).clamp(min=1e-6)
        self._writer.add_image("train/faces", _grid(faces), iteration)

    def log_confusion(self, iteration: int, matrix: np.ndarray, classes: Sequence[str]) -> None:
        """Add a confusion matrix; rows are true classes, columns predictions."""
        from fer_lmdb.visualization.plots import confusion_figure

        self._writer.add_figure("val/confusion", confusion_figure(matrix, classes), iteration)

    def flush(self) -> None:
        """Write pending events to disk."""
        self._writer.flush()

    def close(self) -> None:
        """Close the files."""
        self._writer.close()


class _NullWriter:
    """Writer that ignores all calls."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_, **__: None


def _rename_older_event_files(folder: Path, second: int) -> None:
    """Rename event files so that they sort before a new one.

    TensorBoard reads event files in the order of their names, which start with the second of their creation. Two files
    may share it, and after the clock was set back the newest file would come first.
    """
    files = sorted(folder.glob("events.out.tfevents.*"))
    if not files or int(files[-1].name.split(".")[3]) < second:
        return
    for number, file in enumerate(files):
        suffix = file.name.split(".", 4)[4]
        file.rename(file.with_name(f"events.out.tfevents.{second - len(files) + number:010d}.{suffix}"))


def _grid(faces: torch.Tensor, columns: int = 8) -> torch.Tensor:
    """Arrange faces in rows of eight: (N, C, H, W) -> (C, rows * H, 8 * W)."""
    count, channels, height, width = faces.shape
    rows = -(-count // columns)
    padded = torch.zeros(rows * columns, channels, height, width)
    padded[:count] = faces
    grid = padded.reshape(rows, columns, channels, height, width)
    # (rows, columns, C, H, W) -> (C, rows, H, columns, W)
    return grid.permute(2, 0, 3, 1, 4).reshape(channels, rows * height, columns * width)
