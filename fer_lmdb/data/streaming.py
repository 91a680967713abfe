"""Batches from databases that are larger than memory, read ahead by worker processes.

    order -> positions of a batch -> worker: look up, decode -> (N, 1, H, W) uint8 -> the training's device

The order is the very one of a split in memory: a shuffle of the whole split, not of a window. So both give the same
batches for the same seed. Each face is one look-up in the database's tree; the batch's faces are looked up in the
order in which they lie on the disk. In memory are the labels and targets, two shuffles (24 bytes a face together, in
the training's process alone), and the few batches that the workers are ahead.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, get_worker_info

from fer_lmdb.data.lmdb_store import LmdbRandomReader, decode_datum
from fer_lmdb.data.sampler import EpochSampler
from fer_lmdb.errors import FerLmdbError, StoreError

PREFETCH_FACTOR = 4  # batches that each worker has ready
MAX_WORKER_RESTARTS = 3  # of workers in a row, before a batch is given up

log = logging.getLogger(__name__)


class LmdbFaces:
    """The faces of one or more databases, one after the other, by their position.

    Args:
        parts: every database's folder and its number of records.
    """

    def __init__(self, parts: Sequence[tuple[Path, int]]) -> None:
        self.lookups = [LmdbRandomReader(path) for path, _ in parts]
        self._ends = np.cumsum([count for _, count in parts])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def at(self, positions: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Read faces: (n,) positions in any order -> (n, 1, H, W) uint8.

        Raises:
            StoreError: a database is missing or damaged, or its pictures differ in size.
        """
        faces: NDArray[np.uint8] | None = None
        in_order = np.argsort(positions, kind="stable")
        databases = np.searchsorted(self._ends, positions[in_order], side="right")
        for number in np.unique(databases):
            lookup, begin = self.lookups[number], self._ends[number - 1] if number else 0
            rows = in_order[databases == number]
            for row, (key, value) in zip(rows, lookup.get((positions[rows] - begin).tolist()), strict=True):
                face, _ = decode_datum(value, f"{lookup.path}: {key.decode(errors='backslashreplace')}")
                if faces is None:
                    faces = np.empty((len(positions), 1, *face.shape), dtype=np.uint8)
                if face.shape != faces.shape[2:]:
                    raise StoreError(
                        f"{lookup.path} holds faces of {face.shape} and of {faces.shape[2:]} pixels; expected one size"
                    )
                faces[row, 0] = face
        return np.empty((0, 1, 0, 0), dtype=np.uint8) if faces is None else faces

    def keep_open(self) -> None:
        """Leave the databases open, in a process that will not fork any more."""
        for lookup in self.lookups:
            lookup.keep_open()


class StreamingLoader:
    """An endless stream of batches that worker processes read; the same batches as those of a split in memory."""

    def __init__(
        self,
        faces: LmdbFaces,
        targets: torch.Tensor,
        sampler: EpochSampler,
        workers: int = 2,
        start_method: str | None = None,
    ) -> None:
        """Start nothing yet: the workers begin with the first batch that is asked for.

        Args:
            faces: where the faces lie.
            targets: (N, ...) labels or rows of targets on the device of the training.
            sampler: which faces each batch holds.
            workers: processes that read; with 0 the training reads by itself.
            start_method: "fork", "spawn" or "forkserver"; None takes the platform's own, and "spawn" beside a GPU,
                whose driver does not survive a fork.
        """
        self.faces, self.targets, self.sampler, self.workers = faces, targets, sampler, workers
        on_gpu = targets.device.type != "cpu"
        self.start_method = start_method or ("spawn" if on_gpu else multiprocessing.get_start_method())
        self._batches: Iterator[NDArray[np.uint8] | FerLmdbError] | None = None
        self._next = 0

    def at(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the faces and targets of one batch.

        Raises:
            StoreError: a face cannot be read.
        """
        device = self.targets.device
        images = self._images(number).to(device)
        return images, self.targets[self.sampler.batch_indices(number).to(device)]

    def close(self) -> None:
        """End the workers."""
        self._batches = None

    def _images(self, number: int) -> torch.Tensor:
        """Take the batch that the workers have ready; a worker that was killed is replaced."""
        for _ in range(MAX_WORKER_RESTARTS):
            if self._batches is None or number != self._next:
                self._batches = self._begin(number)
            try:
                faces = next(self._batches)
            except RuntimeError as error:
                log.warning("a process that reads faces was killed (%s); starting others", error)
                self._batches = None
                continue
            self._next = number + 1
            if isinstance(faces, FerLmdbError):
                raise faces
            return torch.from_numpy(faces)
        raise StoreError(f"{self.faces.lookups[0].path}: the processes that read it are killed; try --workers 0")

    def _begin(self, first: int) -> Iterator[Any]:
        self._batches = None  # ends those who read before
        loader: DataLoader[Any] = DataLoader(
            _LmdbDataset(self.faces),  # type: ignore[arg-type]
            batch_sampler=_BatchIndexStream(self.sampler, first),
            collate_fn=_as_it_is,
            worker_init_fn=_init_worker,
            num_workers=self.workers,
            prefetch_factor=PREFETCH_FACTOR if self.workers else None,
            multiprocessing_context=self.start_method if self.workers else None,
            generator=torch.Generator(),  # it would draw from that of the training otherwise
        )
        return _start_undisturbed(loader)


def _start_undisturbed(loader: DataLoader[Any]) -> Iterator[Any]:
    """Start the workers deaf to Ctrl-C, which is the training's to answer, and keep its handlers as they are.

    PyTorch would raise an error in the middle of whatever the training does when a worker dies; without its handler
    that is noticed when the next batch is asked for.
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
    """What a worker does: positions in, faces out; an error of ours travels back as it is."""

    def __init__(self, faces: LmdbFaces) -> None:
        self.faces = faces

    def __getitems__(self, positions: list[int]) -> NDArray[np.uint8] | FerLmdbError:
        # An array goes through a pipe; a tensor would need shared memory, which containers are short of.
        try:
            return self.faces.at(np.array(positions))
        except FerLmdbError as error:
            return error


class _BatchIndexStream:
    """The positions of batch after batch, without end."""

    def __init__(self, sampler: EpochSampler, first: int) -> None:
        self.sampler, self.first = sampler, first

    def __iter__(self) -> Iterator[list[int]]:
        number = self.first
        while True:
            yield self.sampler.batch_indices(number).tolist()
            number += 1


def _init_worker(_: int) -> None:
    """Open the databases for good, and end with the training.

    A worker whose training was killed waits for somebody to take its batches; nothing else would end it.
    What is wrong with a database is said when it is read.
    """
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    worker = get_worker_info()
    reads: Any = worker.dataset if worker is not None else None
    with suppress(FerLmdbError):
        reads.faces.keep_open()


def _end_with_parent(parent: int) -> None:
    training = multiprocessing.parent_process()
    while os.getppid() == parent and (training is None or training.is_alive()):
        time.sleep(0.5)
    os._exit(1)


def _as_it_is(faces: Any) -> Any:
    return faces
