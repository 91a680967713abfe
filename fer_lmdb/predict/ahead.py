"""Work in the background: read what comes next, write what is done."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, TypeVar

T = TypeVar("T")


def read_ahead(items: Iterator[T]) -> Generator[T]:
    """Yield the same items, each made in another thread while the one before is worked on."""
    end = object()
    with ThreadPoolExecutor(1, "read-ahead") as pool:
        coming = pool.submit(next, items, end)
        while (item := coming.result()) is not end:
            coming = pool.submit(next, items, end)
            yield item  # type: ignore[misc]


class InBackground:
    """Calls functions one after the other in another thread, a few calls behind; errors come out of a later call.

    Args:
        waiting: how many calls may wait; then `call` waits, so that memory stays bounded.
    """

    def __init__(self, waiting: int = 4) -> None:
        self._pool = ThreadPoolExecutor(1, "in-background")
        self._calls: deque[Future[Any]] = deque()
        self._waiting = waiting

    def call(self, function: Callable[..., object], *arguments: object) -> None:
        """Have the function called soon."""
        while len(self._calls) >= self._waiting:
            self._calls.popleft().result()
        self._calls.append(self._pool.submit(function, *arguments))

    def __enter__(self) -> InBackground:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=error is not None)
        while self._calls and error is None:
            self._calls.popleft().result()
