"""Epoch log of a run: a line of log.jsonl."""

from __future__ import annotations

from fer_lmdb.artifacts.base import Artifact, Count, Fraction, Number, Positive


class EpochRecord(Artifact):
    """Losses, learning rate and accuracy at the end of an epoch."""

    epoch: Positive
    iteration: Count
    lr: Number
    train_loss: Number
    val_loss: Number | None = None
    val_accuracy: Fraction | None = None
