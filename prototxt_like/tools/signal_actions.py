"""Effects of SIGINT and SIGHUP on a training."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any

from prototxt_like.solver.training_loop import Action
from prototxt_like.tools.flags import UsageError

_SIGNALS = {"sigint_effect": "SIGINT", "sighup_effect": "SIGHUP"}  # Windows has no SIGHUP


class SignalActions:
    """Context manager that turns signals into requests.

    Args:
        sigint_effect: "snapshot", "stop" or "none".
        sighup_effect: The same for SIGHUP.

    Raises:
        UsageError: If an effect is unknown.
    """

    def __init__(self, sigint_effect: str, sighup_effect: str) -> None:
        self._effects: dict[int, Action] = {}
        for flag, effect in (("sigint_effect", sigint_effect), ("sighup_effect", sighup_effect)):
            if effect not in {action.value for action in Action}:
                raise UsageError(f"invalid {flag}: found {effect!r}, expected snapshot, stop or none")
            number = getattr(signal, _SIGNALS[flag], None)
            if number is not None:
                self._effects[number] = Action(effect)
        self._requests: list[Action] = []
        self._previous: dict[int, Any] = {}

    def next_action(self) -> Action:
        """Return the oldest request, or ``Action.NONE``."""
        return self._requests.pop(0) if self._requests else Action.NONE

    def __enter__(self) -> SignalActions:
        for number in self._effects:
            self._previous[number] = signal.signal(number, self._receive)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        action = self._effects[number]
        if action is not Action.NONE and action not in self._requests:
            self._requests.append(action)
