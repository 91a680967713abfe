"""Who does the heavy work of building and predicting: this process, or the machines of a Ray cluster.

An engine maps a function over items and gives the results back in the order of the items, so that what comes out
does not depend on who did it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, TypeVar

Item = TypeVar("Item")
Part = TypeVar("Part")
Result = TypeVar("Result")

NAMES = ("local", "ray")


class Executor(Protocol):
    """Maps functions over items."""

    def map(
        self, work: Callable[[Part], Result], items: Iterable[Item], extract: Callable[[Item], Part]
    ) -> Iterator[tuple[Item, Result]]:
        """Yield every item with ``work(extract(item))``, in order.

        Args:
            work: what is done; has to be picklable where others do it.
            items: what it is done with; taken one by one, only a few ahead of the results.
            extract: what of an item the work needs; the rest stays here.
        Raises:
            FerLmdbError: what the work raises.
        """
        ...


class SerialExecutor:
    """Does everything in this process."""

    def map(
        self, work: Callable[[Part], Result], items: Iterable[Item], extract: Callable[[Item], Part]
    ) -> Iterator[tuple[Item, Result]]:
        """Yield every item with ``work(extract(item))``."""
        for item in items:
            yield item, work(extract(item))


def get_executor(name: str, **settings: Any) -> Executor:
    """Return the engine of a name.

    Args:
        name: "local" or "ray".
        settings: of `fer_lmdb.runtime.executors.ray.RayExecutor`.
    Raises:
        MissingExtra: its package is not installed.
        ExecutorError: the cluster cannot be reached.
    """
    if name == "local":
        return SerialExecutor()
    from fer_lmdb.runtime.executors.ray import RayExecutor

    return RayExecutor(**settings)
