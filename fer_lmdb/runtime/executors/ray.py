"""Work spread over the machines of a Ray cluster.

A piece of work whose process or machine dies is done again elsewhere; results are asked for in the order of the
items, each once. So nothing is lost or doubled, and the order is that of a single machine.
"""

from __future__ import annotations

import logging
import os
import socket
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from fer_lmdb.errors import ExecutorError, FerLmdbError, MissingExtra
from fer_lmdb.runtime.executors import Item, Part, Result
from prototxt_like.errors import PrototxtLikeError

RETRIES = 8
"""How often a piece of work is tried again after its process or machine died."""

PREFETCH_FACTOR = 2
"""Pieces of work that wait for every processor of the cluster."""

SECONDS_TO_CONNECT = 10.0

_WORKER_CACHE: dict[
    str, Callable[[Any], Any]
] = {}  # in a worker: what it does, with the detectors and nets that it loaded


class RayExecutor:
    """Does the work on a Ray cluster: the one that RAY_ADDRESS names, else one of this machine's processors.

    Args:
        address: "auto", "host:6379" or "ray://host:10001"; None heeds RAY_ADDRESS.
    Raises:
        MissingExtra: Ray is not installed.
        ExecutorError: the cluster cannot be reached.
    """

    def __init__(self, address: str | None = None) -> None:
        self._ray = _import_ray()
        if not self._ray.is_initialized():
            _connect(self._ray, address or os.environ.get("RAY_ADDRESS"))
        options = {"num_cpus": 1, "max_retries": RETRIES, "retry_exceptions": False}
        self._task = self._ray.remote(**options)(_do)

    def map(
        self, work: Callable[[Part], Result], items: Iterable[Item], extract: Callable[[Item], Part]
    ) -> Iterator[tuple[Item, Result]]:
        """Yield every item with ``work(part(item))``, in order; see `fer_lmdb.runtime.executors.Executor`."""
        token, sent = uuid.uuid4().hex, self._ray.put(work)
        waiting: deque[tuple[Item, Any]] = deque()
        for item in items:
            waiting.append((item, self._task.remote(token, sent, extract(item))))
            if len(waiting) >= self._most_waiting():
                yield self._done(*waiting.popleft())
        while waiting:
            yield self._done(*waiting.popleft())

    def _most_waiting(self) -> int:
        return PREFETCH_FACTOR * max(1, int(self._ray.cluster_resources().get("CPU", 1)))

    def _done(self, item: Item, promise: Any) -> tuple[Item, Any]:
        try:
            result = self._ray.get(promise)
        except self._ray.exceptions.RayError as error:
            said = str(error).strip().splitlines()
            raise ExecutorError(
                f"Ray gave up on a piece of work ({said[-1] if said else type(error).__name__})"
            ) from error
        if isinstance(result, _Failure):
            raise result.error
        return item, result


class _Failure:
    """An expected error on its way back: as a result, since Ray would wrap what is raised into its own words."""

    def __init__(self, error: Exception) -> None:
        self.error = error


def _do(token: str, work: Callable[[Any], Any], extract: Any) -> Any:
    """Do a piece of work in a worker; what the work has loaded stays there for the next piece."""
    if token not in _WORKER_CACHE:
        _WORKER_CACHE.clear()
        _WORKER_CACHE[token] = work
    try:
        return _WORKER_CACHE[token](extract)
    except (FerLmdbError, PrototxtLikeError) as error:
        return _Failure(error)


def _import_ray() -> Any:
    try:
        import ray
    except ImportError:
        raise MissingExtra("the engine ray needs Ray; install it with: pip install 'fer-lmdb[ray]'") from None
    return ray


def _connect(ray: Any, address: str | None) -> None:
    try:
        _knock(address)
        dashboard = False if address is None else None  # who starts a cluster decides whether it has one
        ray.init(address=address, log_to_driver=False, include_dashboard=dashboard, logging_level=logging.ERROR)
    except (RuntimeError, ValueError, OverflowError, OSError) as error:
        said = " ".join(str(error).split())[:200]
        raise ExecutorError(f"cannot reach the Ray cluster {address or 'of this machine'}: {said}") from error


def _knock(address: str | None) -> None:
    """See whether anybody listens there: Ray itself would try for minutes and then end the process.

    Raises:
        OSError: nobody does.
    """
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=SECONDS_TO_CONNECT).close()
