"""Executors: run the work of `build` and `predict` in this process or on a Ray cluster.

An executor maps a function over items and yields the results in the order of the items, so results do not depend on the
executor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, TypeVar

Item = TypeVar("Item")
Input = TypeVar("Input")
Result = TypeVar("Result")


class Executor(Protocol):
    """Maps functions over items."""

    def map(
        self, work: Callable[[Input], Result], items: Iterable[Item], extract: Callable[[Item], Input]
    ) -> Iterator[tuple[Item, Result]]:
        """Yield each item with ``work(extract(item))``, in order.

        Args:
            work: Function to run; picklable if it runs in other processes.
            items: Items; consumed lazily, only a few ahead of the results.
            extract: Returns the input of `work` for an item; the rest of the item stays in this process.

        Raises:
            FerLmdbError: If `work` raises it.
            ExecutorError: If the cluster fails.
        """
        ...


class SerialExecutor:
    """Executor that runs everything in this process."""

    def map(
        self, work: Callable[[Input], Result], items: Iterable[Item], extract: Callable[[Item], Input]
    ) -> Iterator[tuple[Item, Result]]:
        """Yield each item with ``work(extract(item))``; see `Executor.map`."""
        for item in items:
            yield item, work(extract(item))


def get_executor(name: str, **settings: Any) -> Executor:
    """Return the executor of a name.

    Args:
        name: "local" or "ray".
        settings: Arguments of `fer_lmdb.runtime.executors.ray.RayExecutor`.

    Raises:
        MissingExtra: If Ray is needed and not installed.
        ExecutorError: If the cluster cannot be reached.
    """
    if name == "local":
        return SerialExecutor()
    from fer_lmdb.runtime.executors.ray import RayExecutor

    return RayExecutor(**settings)
