"""Workers and the queue before them: bounded in number and in time, and whole again by itself after any accident."""

from __future__ import annotations

import asyncio
import ipaddress
import math
import multiprocessing
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from time import monotonic
from typing import Any

from fer_lmdb.errors import FerLmdbError
from fer_lmdb.serve.http_errors import ApiError
from fer_lmdb.serve.settings import ServerSettings
from fer_lmdb.serve.worker import Answer, worker_main

Target = Callable[[Connection, ServerSettings], None]

START_SECONDS = 300.0
RETRY_START_SECONDS = 2.0


@dataclass(eq=False)
class Job:
    """One picture on its way: what a worker is asked, and where the answer goes."""

    question: tuple[str, bytes, str]
    answer: asyncio.Future[Answer]


class WorkerProcess:
    """A worker seen from the service. All methods block; they run in a thread of their own.

    Args:
        settings: the service's.
        target: what runs in the process.
    """

    def __init__(self, settings: ServerSettings, target: Target = worker_main) -> None:
        self._settings, self._target = settings, target
        self._process: Any = None
        self._connection: Connection | None = None

    def start(self) -> list[dict[str, Any]]:
        """Start the process and wait until its models are loaded; return what they are.

        Raises:
            FerLmdbError: a model cannot be loaded, or the process ends.
        """
        self.spawn()
        return self.wait()

    def spawn(self) -> None:
        """Start the process without waiting."""
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(
            target=self._target, args=(theirs, self._settings), daemon=True, name="fer-lmdb-worker"
        )
        self._process.start()
        theirs.close()

    def wait(self) -> list[dict[str, Any]]:
        """Wait until the models are loaded; return what they are.

        Raises:
            FerLmdbError: a model cannot be loaded, or the process ends.
        """
        try:
            first = self._receive(START_SECONDS)
        except (EOFError, OSError, TimeoutError):
            self.kill()
            raise FerLmdbError("the process that recognises faces ended while it started; is memory short?") from None
        if "failed" in first:
            self.kill()
            raise FerLmdbError(first["failed"])
        models: list[dict[str, Any]] = first["models"]
        return models

    def request(self, question: tuple[str, bytes, str], seconds: float) -> Answer:
        """Hand a question over and wait for the answer.

        Raises:
            TimeoutError: it takes longer than `seconds`.
            EOFError, OSError: the process has ended.
        """
        _opened(self._connection).send(question)
        return self._receive(seconds)

    def kill(self) -> None:
        """End the process at once."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
        if self._connection is not None:
            self._connection.close()

    def terminate(self) -> None:
        """End the process; a thread that waits for its answer gets an EOFError and clears up."""
        if self._process is not None:
            self._process.kill()

    def _receive(self, seconds: float) -> Answer:
        connection = _opened(self._connection)
        if not connection.poll(seconds):
            raise TimeoutError
        answer: Answer = connection.recv()
        return answer


def _opened(connection: Connection | None) -> Connection:
    """Return the connection; there is one from `start` on."""
    if connection is None:
        raise EOFError("the worker has not been started")
    return connection


class WorkerPool:
    """Workers and their queue.

    Args:
        settings: number of workers, places in the queue, times.
        target: what runs in each process.

    Attributes:
        models: what there is to choose from, the default first.
    """

    def __init__(self, settings: ServerSettings, target: Target = worker_main) -> None:
        self._settings = settings
        self._workers = [WorkerProcess(settings, target) for _ in range(settings.workers)]
        self._threads = ThreadPoolExecutor(settings.workers, thread_name_prefix="fer-lmdb-worker")
        self._waiting: deque[Job] = deque()
        self._arrived = asyncio.Event()
        self._loops: list[asyncio.Task[None]] = []
        self._by_client: Counter[str] = Counter()
        self._seconds = 0.5
        self._ready = 0
        self.models: list[dict[str, Any]] = []

    def start_workers(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Start all processes and wait for them, before anybody is let in.

        Args:
            meanwhile: done while they start.

        Raises:
            FerLmdbError: a model cannot be loaded.
        """
        try:
            for worker in self._workers:
                worker.spawn()
            meanwhile()
            for worker in self._workers:
                self.models = worker.wait()
                self._ready += 1
        except BaseException:
            self.kill()
            raise

    def open(self) -> None:
        """Begin to answer; needs a running event loop."""
        self._loops = [asyncio.create_task(self._run(worker)) for worker in self._workers]

    async def close(self) -> None:
        """End the workers and refuse whoever waits."""
        for loop in self._loops:
            loop.cancel()
        for worker in self._workers:
            worker.terminate()
        await asyncio.gather(*self._loops, return_exceptions=True)
        for job in self._waiting:
            _reject(job, ApiError("not_ready", "the service is being shut down", retry_after=10))
        self._waiting.clear()
        self._threads.shutdown(wait=True)
        self.kill()

    def kill(self) -> None:
        """End all processes at once."""
        for worker in self._workers:
            worker.kill()

    @property
    def ready(self) -> bool:
        """Whether there is a worker that can answer."""
        return self._ready > 0

    @property
    def waiting(self) -> int:
        """How many pictures wait for a worker."""
        return len(self._waiting)

    @property
    def default_model(self) -> str:
        """The model that answers where none is named."""
        return str(self.models[0]["name"])

    def retry_after(self) -> int:
        """Return after how many seconds there will be room again, by the time that pictures took lately."""
        return max(1, math.ceil((len(self._waiting) + 1) * self._seconds / max(1, self._settings.workers)))

    def check_model(self, name: str | None) -> str:
        """Return the model's name, the default's for None.

        Raises:
            Refusal: unknown_model.
        """
        known = [row["name"] for row in self.models]
        if name is None:
            return self.default_model
        if name not in known:
            raise ApiError("unknown_model", f"no model is called {name[:80]!r}; there are: {', '.join(known)}")
        return name

    def check_capacity(self, client: str | None) -> None:
        """Refuse early, before a body is read, what would find no place.

        Raises:
            Refusal: queue_full or too_many_requests.
        """
        if len(self._waiting) >= self._settings.queue:
            places = self._settings.queue
            raise ApiError("queue_full", f"all {places} places in the queue are taken; try again", self.retry_after())
        if is_rate_limited(client) and self._by_client[client or ""] >= self._settings.per_client:
            most = self._settings.per_client
            raise ApiError("too_many_requests", f"you have {most} pictures in work already", self.retry_after())

    async def predict(self, data: bytes, name: str, model: str, client: str | None = None) -> Answer:
        """Have one picture recognised.

        Args:
            data: the file.
            name: what to call it.
            model: a name of `models`.
            client: the address it came from.

        Returns:
            width, height and faces.

        Raises:
            Refusal: there is no room or no time, or the picture is unfit.
        """
        self.check_capacity(client)
        job = Job((model, data, name), asyncio.get_running_loop().create_future())
        self._waiting.append(job)
        self._arrived.set()
        self._by_client[client or ""] += 1
        try:
            answer = await self._answer_of(job)
        finally:  # also where the client has hung up: its place is free at once
            if job in self._waiting:
                self._waiting.remove(job)
            self._by_client -= Counter({client or "": 1})
        if "code" in answer:
            raise ApiError(answer["code"], answer["message"])
        return answer

    async def _answer_of(self, job: Job) -> Answer:
        most = self._settings.wait_seconds + self._settings.work_seconds
        try:
            return await asyncio.wait_for(job.answer, most)
        except (asyncio.TimeoutError, TimeoutError):
            raise ApiError("waited_too_long", f"no worker was free for {most:g} seconds", self.retry_after()) from None

    async def _run(self, worker: WorkerProcess) -> None:
        """Give one worker job after job; after an accident a new process takes its place."""
        while True:
            job = await self._next()
            if job.answer.done():
                continue
            started = monotonic()
            try:
                answer = await self._in_thread(worker.request, job.question, self._settings.work_seconds)
            except (TimeoutError, EOFError, OSError) as error:
                _reject(job, _accident(error, self._settings.work_seconds))
                await self._replace(worker)
                continue
            self._seconds = 0.8 * self._seconds + 0.2 * (monotonic() - started)
            if not job.answer.done():
                job.answer.set_result(answer)

    async def _replace(self, worker: WorkerProcess) -> None:
        self._ready -= 1
        while True:
            await self._in_thread(worker.kill)
            try:
                await self._in_thread(worker.start)
            except FerLmdbError:  # memory may be short for a moment
                await asyncio.sleep(RETRY_START_SECONDS)
                continue
            self._ready += 1
            return

    async def _next(self) -> Job:
        while not self._waiting:
            self._arrived.clear()
            await self._arrived.wait()
        return self._waiting.popleft()

    async def _in_thread(self, function: Any, *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)


def is_rate_limited(client: str | None) -> bool:
    """Whether an address is counted against `per_client`; this machine's own and unknown ones are not."""
    try:
        return client is not None and not ipaddress.ip_address(client).is_loopback
    except ValueError:
        return False


def _reject(job: Job, error: ApiError) -> None:
    if not job.answer.done():
        job.answer.set_exception(error)


def _accident(error: Exception, seconds: float) -> ApiError:
    if isinstance(error, TimeoutError):
        return ApiError("took_too_long", f"the picture took longer than {seconds:g} seconds; send a smaller one", 5)
    return ApiError("worker_lost", "the process that looked at the picture has ended; a new one is starting", 5)
