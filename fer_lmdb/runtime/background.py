"""Work in the background: read what comes next, write what is done."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, TypeVar

T = TypeVar("T")


def prefetch(items: Iterator[T]) -> Generator[T]:
    """Yield the same items, each made in another thread while the one before is worked on."""
    end = object()
    with ThreadPoolExecutor(1, "read-ahead") as pool:
        coming = pool.submit(next, items, end)
        while (item := coming.result()) is not end:
            coming = pool.submit(next, items, end)
            yield item  # type: ignore[misc]


def latest_only(items: Iterator[T]) -> Generator[T]:
    """Yield items as they come, skipping those that are outdated by the time that the caller asks for the next.

    For live pictures: who cannot keep up sees fewer of them, not older and older ones.
    """
    ready = threading.Condition()
    newest: list[T] = []
    ended: list[BaseException | None] = []
    stop = threading.Event()

    def receive() -> None:
        error: BaseException | None = None
        try:
            for item in items:
                with ready:
                    newest[:] = [item]
                    ready.notify()
                if stop.is_set():
                    break
        except BaseException as caught:  # handed on to the caller
            error = caught
        with ready:
            ended.append(error)
            ready.notify()

    thread = threading.Thread(target=receive, name="newest-only", daemon=True)
    thread.start()
    try:
        while True:
            with ready:
                ready.wait_for(lambda: newest or ended)
                if not newest:
                    break
                item = newest.pop()
            yield item
    finally:
        stop.set()
        thread.join(timeout=15)
    if ended[0] is not None:
        raise ended[0]


class BackgroundWorker:
    """Calls functions one after the other in another thread, a few calls behind; errors come out of a later call.

    Args:
        waiting: how many calls may wait; then `submit` waits, so that memory stays bounded.
    """

    def __init__(self, waiting: int = 4) -> None:
        self._pool = ThreadPoolExecutor(1, "in-background")
        self._calls: deque[Future[Any]] = deque()
        self._waiting = waiting

    def submit(self, function: Callable[..., object], *arguments: object) -> None:
        """Have the function called soon."""
        while len(self._calls) >= self._waiting:
            self._calls.popleft().result()
        self._calls.append(self._pool.submit(function, *arguments))

    def __enter__(self) -> BackgroundWorker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=error is not None)
        while self._calls and error is None:
            self._calls.popleft().result()
