"""Batches from databases larger than memory, prefetched by worker processes.

    sampler -> positions of a batch -> worker: read, decode -> (N, 1, H, W) uint8 -> training device

Batches are identical to in-memory loading for the same seed, since the whole split is shuffled, not a window of it.
Each face is one lookup in the database's B+ tree; the faces of a batch are read in the order of their pages. Resident:
labels, targets, two permutations (24 bytes per face, in the training process only) and the prefetched batches.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, get_worker_info

from fer_lmdb.data.sampler import EpochSampler
from fer_lmdb.errors import StoreError
from prototxt_like.io.datum_store import LmdbFaces

PREFETCH_FACTOR = 4
"""Batches that each worker keeps ready."""
MAX_WORKER_RESTARTS = 3
"""Restarts of killed workers for one batch."""

log = logging.getLogger(__name__)


class StreamingLoader:
    """Endless sequence of batches read by worker processes."""

    def __init__(
        self,
        faces: LmdbFaces,
        targets: torch.Tensor,
        sampler: EpochSampler,
        workers: int = 2,
        start_method: str | None = None,
    ) -> None:
        """Set up the loader; the workers start with the first batch.

        Args:
            faces: Reader of the faces.
            targets: (N, ...) labels or target rows on the training device.
            sampler: Positions of each batch's faces.
            workers: Number of reader processes; 0 reads in the training process.
            start_method: "fork", "spawn" or "forkserver"; None selects the platform's default, and "spawn" with a GPU,
                whose driver does not survive a fork.
        """
        self.faces, self.targets, self.sampler, self.workers = faces, targets, sampler, workers
        on_gpu = targets.device.type != "cpu"
        self.start_method = start_method or ("spawn" if on_gpu else multiprocessing.get_start_method())
        self._batches: Iterator[NDArray[np.uint8] | StoreError] | None = None
        self._next = 0

    def at(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the faces and targets of one batch.

        Raises:
            StoreError: If a face cannot be read.
        """
        device = self.targets.device
        images = self._images(number).to(device)
        return images, self.targets[self.sampler.batch_indices(number).to(device)]

    def close(self) -> None:
        """Stop the workers."""
        self._batches = None

    def _images(self, number: int) -> torch.Tensor:
        """Return the next prefetched batch; restart the workers if one was killed."""
        for _ in range(MAX_WORKER_RESTARTS):
            if self._batches is None or number != self._next:
                self._batches = self._start_workers(number)
            try:
                faces = next(self._batches)
            except RuntimeError as error:
                log.warning("a reader process was killed (%s); restarting the readers", error)
                self._batches = None
                continue
            self._next = number + 1
            if isinstance(faces, StoreError):
                raise faces
            return torch.from_numpy(faces)
        raise StoreError(f"{self.faces.readers[0].path}: the reader processes were killed repeatedly; use --workers 0")

    def _start_workers(self, first: int) -> Iterator[Any]:
        self._batches = None  # stops the previous workers
        loader: DataLoader[Any] = DataLoader(
            _LmdbDataset(self.faces),  # type: ignore[arg-type]
            batch_sampler=_BatchIndexStream(self.sampler, first),
            collate_fn=_identity,
            worker_init_fn=_init_worker,
            num_workers=self.workers,
            prefetch_factor=PREFETCH_FACTOR if self.workers else None,
            multiprocessing_context=self.start_method if self.workers else None,
            generator=torch.Generator(),  # the default would draw from the training's generator
        )
        return _iterate_without_signal_handlers(loader)


def _iterate_without_signal_handlers(loader: DataLoader[Any]) -> Iterator[Any]:
    """Start workers that ignore Ctrl-C, and restore the process's SIGCHLD handler.

    The training process handles Ctrl-C. PyTorch's SIGCHLD handler raises in the middle of any Python code when a worker
    dies; without it, the death is detected when the next batch is requested.
    """
    try:
        handler = signal.getsignal(signal.SIGCHLD)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    except (AttributeError, ValueError):  # not a POSIX system
        return iter(loader)
    try:
        return iter(loader)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if loader.num_workers and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGCHLD, handler)


class _LmdbDataset:
    """Dataset whose items are batches: positions -> faces, or the error, which the loader raises."""

    def __init__(self, faces: LmdbFaces) -> None:
        self.faces = faces

    def __getitems__(self, positions: list[int]) -> NDArray[np.uint8] | StoreError:
        # An array goes through a pipe; a tensor would need shared memory, which is often small in containers.
        try:
            return self.faces.at(np.array(positions))
        except StoreError as error:
            return error


class _BatchIndexStream:
    """Endless batch sampler: the positions of each batch from the first one on."""

    def __init__(self, sampler: EpochSampler, first: int) -> None:
        self.sampler, self.first = sampler, first

    def __iter__(self) -> Iterator[list[int]]:
        number = self.first
        while True:
            yield self.sampler.batch_indices(number).tolist()
            number += 1


def _init_worker(_: int) -> None:
    """Keep the databases open, and exit when the training process dies instead of waiting for it forever.

    Errors in a database are reported when it is read.
    """
    threading.Thread(target=_exit_with_parent, args=(os.getppid(),), daemon=True).start()
    worker = get_worker_info()
    reads: Any = worker.dataset if worker is not None else None
    with suppress(StoreError):
        reads.faces.keep_open()


def _exit_with_parent(parent: int) -> None:
    training = multiprocessing.parent_process()
    while os.getppid() == parent and (training is None or training.is_alive()):
        time.sleep(0.5)
    os._exit(1)


def _identity(faces: Any) -> Any:
    return faces
