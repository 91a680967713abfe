"""Loss of the log: mean of the last iterations."""

from __future__ import annotations

from collections import deque


class LossAverage:
    """Mean of the last ``length`` losses.

    Args:
        length: The solver's ``average_loss``, 1 or more.
    """

    def __init__(self, length: int) -> None:
        self._losses: deque[float] = deque(maxlen=length)

    def add(self, loss: float) -> None:
        """Add the loss of an iteration."""
        self._losses.append(loss)

    def clear(self) -> None:
        """Forget all losses."""
        self._losses.clear()

    @property
    def value(self) -> float:
        """Mean; NaN without losses."""
        return sum(self._losses) / len(self._losses) if self._losses else float("nan")
