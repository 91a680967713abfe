"""Background threads: prefetching, latest item of a live source, deferred calls."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Generic, TypeVar

from fer_lmdb.runtime.signals import uninterrupted

T = TypeVar("T")

STOP_TIMEOUT_S = 15.0


def prefetch(items: Iterator[T]) -> Generator[T]:
    """Yield the items; the next one is produced in another thread while the caller processes the current one."""
    end = object()
    with ThreadPoolExecutor(1, "prefetch") as pool:
        pending = pool.submit(next, items, end)
        while (item := pending.result()) is not end:
            pending = pool.submit(next, items, end)
            yield item  # type: ignore[misc]


def latest_only(items: Iterator[T]) -> Generator[T]:
    """Yield the latest item of a live source, and drop items that arrive while the caller is busy.

    A caller that is slower than the source thus gets fewer items, but never outdated ones.
    """
    receiver = _LatestReceiver(items)
    try:
        while (received := receiver.take()) is not None:
            yield received[0]
    finally:
        receiver.stop()
    receiver.raise_error()


class _LatestReceiver(Generic[T]):
    """Thread that iterates over a source and holds the latest item."""

    def __init__(self, items: Iterator[T]) -> None:
        self._items = items
        self._changed = threading.Condition()
        self._latest: tuple[T] | None = None
        self._ended = False
        self._stopped = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._receive, name="latest-only", daemon=True)
        self._thread.start()

    def take(self) -> tuple[T] | None:
        """Wait for an item that was not taken yet; return it in a tuple, or None at the end of the source."""
        with self._changed:
            self._changed.wait_for(lambda: self._latest is not None or self._ended)
            latest, self._latest = self._latest, None
            return latest

    def stop(self) -> None:
        """Stop after the current item and wait for the thread."""
        self._stopped = True
        self._thread.join(timeout=STOP_TIMEOUT_S)

    def raise_error(self) -> None:
        """Raise the error that ended the source, if any."""
        if self._error is not None:
            raise self._error

    def _receive(self) -> None:
        try:
            for item in self._items:
                with self._changed:
                    self._latest = (item,)
                    self._changed.notify()
                if self._stopped:
                    break
        except BaseException as error:  # raised again in the caller's thread
            self._error = error
        with self._changed:
            self._ended = True
            self._changed.notify()


class BackgroundWorker:
    """Run calls one after the other in another thread; errors are raised by a later call or at the end.

    At the end of the context all calls are complete, also after an error or a signal.

    Args:
        max_pending: Number of calls that can be pending before `submit` blocks, which bounds the memory.
    """

    def __init__(self, max_pending: int = 4) -> None:
        self._pool = ThreadPoolExecutor(1, "background-worker")
        self._calls: deque[Future[Any]] = deque()
        self._max_pending = max_pending

    def submit(self, function: Callable[..., object], *arguments: object) -> None:
        """Schedule a call."""
        while len(self._calls) >= self._max_pending:
            self._calls.popleft().result()
        self._calls.append(self._pool.submit(function, *arguments))

    def __enter__(self) -> BackgroundWorker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with uninterrupted():
            self._pool.shutdown()
            while self._calls and error is None:
                self._calls.popleft().result()
