"""Progress reporting of long operations."""

from __future__ import annotations

from typing import Protocol

INTERVAL = 1000
"""Items between two reports."""


class ProgressCallback(Protocol):
    """Function that is called while a long operation runs."""

    def __call__(self, stage: str, done: int, total: int | None, /) -> None:
        """Report progress.

        Args:
            stage: Name of the current step, e.g. "read" or "write train".
            done: Items processed so far.
            total: Number of items, or None if unknown.
        """
        ...


def no_progress(stage: str, done: int, total: int | None, /) -> None:
    """Ignore progress reports."""


def report_progress(progress: ProgressCallback, stage: str, done: int, total: int) -> None:
    """Call back after every `INTERVAL` items and after the last one."""
    if done % INTERVAL == 0 or done == total:
        progress(stage, done, total)
