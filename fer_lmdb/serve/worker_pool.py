"""Worker processes behind a bounded queue; crashed or hanging workers are restarted."""

from __future__ import annotations

import asyncio
import ipaddress
import math
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import monotonic
from typing import Any

from fer_lmdb.errors import FerLmdbError
from fer_lmdb.serve.http_errors import ApiError
from fer_lmdb.serve.settings import ServerSettings
from fer_lmdb.serve.worker import Answer, worker_main
from fer_lmdb.serve.worker_process import Request, Target, WorkerProcess

RESTART_SECONDS = 2.0


@dataclass(eq=False)
class Job:
    """One queued image.

    Attributes:
        request: Message for the worker.
        answer: Future of the worker's answer.
    """

    request: Request
    answer: asyncio.Future[Answer]


class WorkerPool:
    """Worker processes and their queue.

    Args:
        settings: Number of workers, queue length and time limits.
        target: Function to run in each process.

    Attributes:
        models: Descriptions of the loaded models, the default model first.
    """

    def __init__(self, settings: ServerSettings, target: Target = worker_main) -> None:
        self._settings = settings
        self._workers = [WorkerProcess(settings, target) for _ in range(settings.workers)]
        self._threads = ThreadPoolExecutor(settings.workers, thread_name_prefix="fer-lmdb-worker")
        self._queue: deque[Job] = deque()
        self._job_added = asyncio.Event()
        self._loops: list[asyncio.Task[None]] = []
        self._jobs_by_client: Counter[str] = Counter()
        self._mean_seconds = 0.5
        self._ready_workers = 0
        self.models: list[dict[str, Any]] = []

    def start_workers(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Start all processes and wait until their models are loaded.

        Args:
            meanwhile: Function to call while the processes start.

        Raises:
            FerLmdbError: If a model cannot be loaded.
        """
        try:
            for worker in self._workers:
                worker.spawn()
            meanwhile()
            # All workers load the same models, so the description of one is enough.
            self.models, *_ = [worker.wait_until_ready() for worker in self._workers]
            self._ready_workers = len(self._workers)
        except BaseException:
            self.kill()
            raise

    def open(self) -> None:
        """Start processing the queue; requires a running event loop."""
        self._loops = [asyncio.create_task(self._run(worker)) for worker in self._workers]

    async def close(self) -> None:
        """Stop the workers and reject all queued jobs."""
        for loop in self._loops:
            loop.cancel()
        for worker in self._workers:
            worker.terminate()
        await asyncio.gather(*self._loops, return_exceptions=True)
        for job in self._queue:
            _reject(job, ApiError("not_ready", "the service is shutting down", retry_after=10))
        self._queue.clear()
        self._threads.shutdown(wait=True)
        self.kill()

    def kill(self) -> None:
        """Kill all processes."""
        for worker in self._workers:
            worker.kill()

    @property
    def ready(self) -> bool:
        """Whether at least one worker is ready."""
        return self._ready_workers > 0

    @property
    def waiting(self) -> int:
        """Number of queued images."""
        return len(self._queue)

    @property
    def default_model(self) -> str:
        """Name of the model used if a request names none."""
        return str(self.models[0]["name"])

    def retry_after(self) -> int:
        """Estimate Retry-After in seconds from recent processing times."""
        return max(1, math.ceil((len(self._queue) + 1) * self._mean_seconds / max(1, self._settings.workers)))

    def check_model(self, name: str | None) -> str:
        """Return the name of a loaded model, the default model for None.

        Raises:
            ApiError: If there is no such model (unknown_model).
        """
        known = [row["name"] for row in self.models]
        if name is None:
            return self.default_model
        if name not in known:
            raise ApiError("unknown_model", f"unknown model {name[:80]!r}; choose one of: {', '.join(known)}")
        return name

    def check_capacity(self, client: str | None) -> None:
        """Reject a request before its body is read if the queue is full.

        Args:
            client: IP address of the client, None if unknown.

        Raises:
            ApiError: If the queue is full (queue_full) or the client has too many images in it (too_many_requests).
        """
        if len(self._queue) >= self._settings.queue:
            places = self._settings.queue
            raise ApiError("queue_full", f"the queue is full ({places} images); try again", self.retry_after())
        limit = self._settings.per_client
        if is_rate_limited(client) and self._jobs_by_client[client or ""] >= limit:
            raise ApiError(
                "too_many_requests", f"{limit} images from this address are in progress already", self.retry_after()
            )

    async def predict(self, data: bytes, name: str, model: str, client: str | None = None) -> Answer:
        """Queue one image and wait for its prediction.

        Args:
            data: Contents of the image file.
            name: Name for error messages.
            model: Name of a model of `models`.
            client: IP address of the client, None if unknown.

        Returns:
            width, height and faces.

        Raises:
            ApiError: If the queue is full, the time limit is exceeded or the image cannot be used.
        """
        self.check_capacity(client)
        job = Job((model, data, name), asyncio.get_running_loop().create_future())
        self._queue.append(job)
        self._job_added.set()
        self._jobs_by_client[client or ""] += 1
        try:
            answer = await self._wait_for(job)
        finally:  # free the place at once if the client has disconnected
            if job in self._queue:
                self._queue.remove(job)
            self._jobs_by_client -= Counter({client or "": 1})
        if "code" in answer:
            raise ApiError(answer["code"], answer["message"])
        return answer

    async def _wait_for(self, job: Job) -> Answer:
        limit = self._settings.wait_seconds + self._settings.work_seconds
        try:
            return await asyncio.wait_for(job.answer, limit)
        except (asyncio.TimeoutError, TimeoutError):
            raise ApiError("waited_too_long", f"no worker was free for {limit:g} seconds", self.retry_after()) from None

    async def _run(self, worker: WorkerProcess) -> None:
        """Process the queue with one worker; restart the worker after a crash or timeout."""
        while True:
            job = await self._next_job()
            if job.answer.done():
                continue
            started = monotonic()
            try:
                answer = await self._in_thread(worker.request, job.request, self._settings.work_seconds)
            except (TimeoutError, EOFError, OSError) as error:
                _reject(job, _worker_error(error, self._settings.work_seconds))
                await self._restart(worker)
                continue
            self._mean_seconds = 0.8 * self._mean_seconds + 0.2 * (monotonic() - started)
            if not job.answer.done():
                job.answer.set_result(answer)

    async def _restart(self, worker: WorkerProcess) -> None:
        self._ready_workers -= 1
        while True:
            await self._in_thread(worker.kill)
            try:
                await self._in_thread(worker.start)
            except FerLmdbError:  # e.g. a temporary lack of memory
                await asyncio.sleep(RESTART_SECONDS)
                continue
            self._ready_workers += 1
            return

    async def _next_job(self) -> Job:
        while not self._queue:
            self._job_added.clear()
            await self._job_added.wait()
        return self._queue.popleft()

    async def _in_thread(self, function: Any, *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)


def is_rate_limited(client: str | None) -> bool:
    """Return whether `per_client` applies to an address; loopback and unknown addresses are exempt."""
    try:
        return client is not None and not ipaddress.ip_address(client).is_loopback
    except ValueError:
        return False


def _reject(job: Job, error: ApiError) -> None:
    if not job.answer.done():
        job.answer.set_exception(error)


def _worker_error(error: Exception, seconds: float) -> ApiError:
    if isinstance(error, TimeoutError):
        return ApiError("took_too_long", f"the image took longer than {seconds:g} seconds; send a smaller one", 5)
    return ApiError("worker_lost", "the worker process of this image has exited; a new one is starting", 5)
