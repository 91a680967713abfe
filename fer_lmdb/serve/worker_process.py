"""Handle of one worker process."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

from fer_lmdb.errors import FerLmdbError
from fer_lmdb.serve.settings import ServerSettings
from fer_lmdb.serve.worker import Answer, worker_main

Target = Callable[[Connection, ServerSettings], None]
Request = tuple[str, bytes, str]
"""Model name, contents of the image file, display name."""

START_SECONDS = 300.0


class WorkerProcess:
    """A worker process as seen from the service. All methods block, so each worker is used by a thread of its own.

    Args:
        settings: Settings of the service.
        target: Function to run in the process.
    """

    def __init__(self, settings: ServerSettings, target: Target = worker_main) -> None:
        self._settings, self._target = settings, target
        self._process: SpawnProcess | None = None
        self._connection: Connection | None = None

    def start(self) -> None:
        """Start the process and wait until its models are loaded.

        Raises:
            FerLmdbError: If a model cannot be loaded or the process exits.
        """
        self.spawn()
        self.wait_until_ready()

    def spawn(self) -> None:
        """Start the process without waiting."""
        context = multiprocessing.get_context("spawn")
        self._connection, remote = context.Pipe()
        self._process = context.Process(
            target=self._target, args=(remote, self._settings), daemon=True, name="fer-lmdb-worker"
        )
        self._process.start()
        remote.close()

    def wait_until_ready(self) -> list[dict[str, Any]]:
        """Wait until the models are loaded, and return their descriptions, the default model first.

        Raises:
            FerLmdbError: If a model cannot be loaded or the process exits.
        """
        try:
            first = self._receive(START_SECONDS)
        except (EOFError, OSError, TimeoutError):
            self.kill()
            raise FerLmdbError("a worker process exited while it was starting; check the available memory") from None
        if "failed" in first:
            self.kill()
            raise FerLmdbError(first["failed"])
        models: list[dict[str, Any]] = first["models"]
        return models

    def request(self, request: Request, seconds: float) -> Answer:
        """Send a request and wait for the answer.

        Raises:
            TimeoutError: If there is no answer within `seconds`.
            EOFError, OSError: If the process has exited.
        """
        self._pipe().send(request)
        return self._receive(seconds)

    def kill(self) -> None:
        """Kill the process, wait for its end and close the connection."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
        if self._connection is not None:
            self._connection.close()

    def terminate(self) -> None:
        """Kill the process; a thread that waits for its answer gets an EOFError."""
        if self._process is not None:
            self._process.kill()

    def _receive(self, seconds: float) -> Answer:
        connection = self._pipe()
        if not connection.poll(seconds):
            raise TimeoutError
        answer: Answer = connection.recv()
        return answer

    def _pipe(self) -> Connection:
        if self._connection is None:
            raise EOFError("the worker has not been started")
        return self._connection
