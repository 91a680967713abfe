"""Executor on a Ray cluster.

A task is retried elsewhere if its process or machine dies. Results are fetched once each, in the order of the items. So
nothing is lost or duplicated, and the order is that of a single process.
"""

from __future__ import annotations

import logging
import os
import socket
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from fer_lmdb.errors import ERRORS, ExecutorError, MissingExtra, one_line
from fer_lmdb.runtime.executors import Input, Item, Result

RETRIES = 8
"""Maximum number of retries of a task after its process or machine died."""

PREFETCH_FACTOR = 2
"""Pending tasks per processor of the cluster."""

CONNECT_TIMEOUT_S = 10.0

_WORKER_CACHE: dict[str, Callable[[Any], Any]] = {}
"""In a worker process: its function, with the detectors and nets that it has loaded, by token."""


class RayExecutor:
    """Executor on a Ray cluster.

    Args:
        address: "auto", "host:6379" or "ray://host:10001"; None for RAY_ADDRESS, or if that is not set, for a new
            cluster of the processors of this machine.

    Raises:
        MissingExtra: If Ray is not installed.
        ExecutorError: If the cluster cannot be reached.
    """

    def __init__(self, address: str | None = None) -> None:
        self._ray = _import_ray()
        if not self._ray.is_initialized():
            _connect(self._ray, address or os.environ.get("RAY_ADDRESS"))
        options = {"num_cpus": 1, "max_retries": RETRIES, "retry_exceptions": False}
        self._task = self._ray.remote(**options)(_run)

    def map(
        self, work: Callable[[Input], Result], items: Iterable[Item], extract: Callable[[Item], Input]
    ) -> Iterator[tuple[Item, Result]]:
        """Yield each item with ``work(extract(item))``, in order; see `Executor.map`."""
        token, stored_work = uuid.uuid4().hex, self._ray.put(work)
        pending: deque[tuple[Item, Any]] = deque()
        for item in items:
            pending.append((item, self._task.remote(token, stored_work, extract(item))))
            if len(pending) >= self._max_pending():
                yield self._result(*pending.popleft())
        while pending:
            yield self._result(*pending.popleft())

    def _max_pending(self) -> int:
        return PREFETCH_FACTOR * max(1, int(self._ray.cluster_resources().get("CPU", 1)))

    def _result(self, item: Item, reference: Any) -> tuple[Item, Any]:
        try:
            result = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            lines = str(error).strip().splitlines()
            raise ExecutorError(f"a Ray task failed ({lines[-1] if lines else type(error).__name__})") from error
        if isinstance(result, _Failure):
            raise result.error
        return item, result


class _Failure:
    """Expected error, returned as a result because Ray wraps exceptions."""

    def __init__(self, error: Exception) -> None:
        self.error = error


def _run(token: str, work: Callable[[Any], Any], argument: Any) -> Any:
    """Run a task in a worker process, which caches the function and what it has loaded for the next task."""
    if token not in _WORKER_CACHE:
        _WORKER_CACHE.clear()
        _WORKER_CACHE[token] = work
    try:
        return _WORKER_CACHE[token](argument)
    except ERRORS as error:
        return _Failure(error)


def _import_ray() -> Any:
    try:
        import ray
    except ImportError:
        raise MissingExtra("the executor ray needs Ray; install it with: pip install 'fer-lmdb[ray]'") from None
    return ray


def _connect(ray: Any, address: str | None) -> None:
    try:
        _check_reachable(address)
        dashboard = False if address is None else None  # None: decided by the running cluster
        ray.init(address=address, log_to_driver=False, include_dashboard=dashboard, logging_level=logging.ERROR)
    except (RuntimeError, ValueError, OverflowError, OSError) as error:
        reason = one_line(error)[:200]
        raise ExecutorError(f"cannot reach the Ray cluster {address or 'of this machine'}: {reason}") from error


def _check_reachable(address: str | None) -> None:
    """Connect to the address once: Ray itself retries for minutes and then ends the process.

    Raises:
        OSError: If nothing listens at the address.
    """
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=CONNECT_TIMEOUT_S).close()
