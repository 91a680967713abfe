"""Signal handling: stop after the current step, or clean up before the process ends."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import NoReturn

from fer_lmdb.runtime.posix import TERMINATION_SIGNALS

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stop_on_signal(*, patient: bool = False) -> Iterator[threading.Event]:
    """Turn SIGINT and SIGTERM into a stop request; a second signal raises KeyboardInterrupt.

    Outside the main thread no handler is installed and the event is never set.

    Args:
        patient: Whether to ignore further signals. torchrun forwards a Ctrl-C that its processes already received.

    Yields:
        Event that is set by the first signal.
    """
    request = _StopRequest(patient)
    if not _in_main_thread():
        yield request.event
        return
    previous = {number: signal.signal(number, request.handle) for number in STOP_SIGNALS}
    try:
        yield request.event
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


class _StopRequest:
    """Signal handler that sets an event."""

    def __init__(self, patient: bool) -> None:
        self.event = threading.Event()
        self._patient = patient

    def handle(self, _number: int, _frame: FrameType | None) -> None:
        """Set the event; raise KeyboardInterrupt if it is already set."""
        if self.event.is_set() and not self._patient:
            raise KeyboardInterrupt
        self.event.set()


class TerminationGuard:
    """Context manager that turns SIGTERM and SIGHUP into SystemExit, so that cleanup code runs.

    By default these signals end the process at once. Signals with a handler of the program's own are left to it.

    Raises:
        SystemExit: If a signal arrived, with 128 + its number as exit status. Before `defer` it is raised at once,
            afterwards when the block ends.
    """

    def __init__(self) -> None:
        self._signals: list[signal.Signals] = []
        self._received: list[int] = []
        self._deferred = False

    def defer(self) -> None:
        """Postpone the exit to the end of the block: the code that follows must not be interrupted."""
        self._deferred = True

    def __enter__(self) -> TerminationGuard:
        if _in_main_thread():
            self._signals = [number for number in TERMINATION_SIGNALS if signal.getsignal(number) is signal.SIG_DFL]
        for number in self._signals:
            signal.signal(number, self._handle)
        return self

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self._received.append(number)
        if not self._deferred and len(self._received) == 1:
            raise SystemExit(128 + number)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number in self._signals:
            signal.signal(number, signal.SIG_DFL)
        if self._received and error is None:
            raise SystemExit(128 + self._received[0])


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


ENDING_SIGNALS = (signal.SIGINT, *TERMINATION_SIGNALS)


class _Deferral:
    """Signals that arrived inside `uninterrupted` blocks of the main thread."""

    def __init__(self) -> None:
        self.depth = 0
        self.received: list[int] = []

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """Raise the exception of a signal, or note the signal inside a block."""
        if self.depth:
            self.received.append(number)
        else:
            _raise(number)


_DEFERRAL = _Deferral()


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let SIGINT raise KeyboardInterrupt, and SIGTERM and SIGHUP SystemExit with 128 + their number, but never inside
    `uninterrupted`. Ignored signals (nohup) remain ignored. Outside the main thread nothing changes.
    """
    if not _in_main_thread():
        yield
        return
    numbers = [number for number in ENDING_SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    previous = {number: signal.signal(number, _DEFERRAL.handle) for number in numbers}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Postpone the signals of `ended_by_signals` to the end of the block, for writes that are complete or not done."""
    if not _in_main_thread():
        yield
        return
    _DEFERRAL.depth += 1
    try:
        yield
    finally:
        _DEFERRAL.depth -= 1
        if not _DEFERRAL.depth and _DEFERRAL.received:
            number = _DEFERRAL.received[0]
            _DEFERRAL.received.clear()
            _raise(number)


def _raise(number: int) -> NoReturn:
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + number)
