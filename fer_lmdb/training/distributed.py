"""Several processes that train one net together, as torchrun starts them; alone, a process is a team of one.

Every process takes its own part of each batch and goes back from its own loss. Before an update the gradients are
averaged over all processes, and the statistics of BatchNorm with them: so after each update all of them hold the same
weights, to the bit, and any one of them can write a snapshot or the model.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

import prototxt_like as pl
from fer_lmdb.errors import FerLmdbError, RunError
from fer_lmdb.runtime.seeding import derive_seed

Value = TypeVar("Value")


@dataclass(frozen=True)
class ProcessGroup:
    """The processes of a training.

    Attributes:
        rank: which of them this is, from 0; the first one writes the run folder and shows the progress.
        world_size: how many there are.
        local_rank: which of those on this machine this is; it takes the GPU of that number.
    """

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0

    @property
    def is_main_process(self) -> bool:
        """Tell whether this process is the one that writes."""
        return self.rank == 0

    def device(self, name: str) -> str:
        """Return this process's own device where "auto" or "cuda" names any of several GPUs."""
        wants_gpu = name == "cuda" or (name == "auto" and torch.cuda.is_available())
        return f"cuda:{self.local_rank}" if wants_gpu and self.world_size > 1 else name

    def local_batch_size(self, batch_size: int) -> int:
        """Return this process's faces of a batch.

        Raises:
            RunError: the batch cannot be cut into equal parts.
        """
        if batch_size % self.world_size:
            raise RunError(
                f"a batch of {batch_size} faces cannot be cut into {self.world_size} equal parts; change --batch-size"
            )
        return batch_size // self.world_size

    def rank_seed(self, seed: int) -> int:
        """Return a seed for this process's own draws; that of the first is the run's, as if it were alone."""
        return seed if self.is_main_process else derive_seed(seed, self.rank, "rank")

    def all_reduce_mean(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors of one type by their means over all processes, in one exchange."""
        if self.world_size == 1 or not tensors:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        with _collective_errors():
            dist.all_reduce(flat)
        parts = (flat / self.world_size).split([tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))

    def all_reduce_mean_fp64(self, tensors: Sequence[Tensor]) -> None:
        """Do the same with sums in double precision: means of equal float32 values are those values."""
        if self.world_size > 1 and tensors:
            wide = [tensor.double() for tensor in tensors]
            self.all_reduce_mean(wide)
            for tensor, value in zip(tensors, wide, strict=True):
                tensor.copy_(value)

    def any_rank(self, flag: bool) -> bool:
        """Tell whether any process says yes."""
        if self.world_size == 1:
            return flag
        said = torch.tensor([float(flag)])
        with _collective_errors():
            dist.all_reduce(said)
        return bool(said.item())

    def rank_slice(self, count: int) -> slice:
        """Return this process's share of so many things; the shares overlap nowhere and leave nothing out."""
        return slice(self.rank * count // self.world_size, (self.rank + 1) * count // self.world_size)

    def all_gather(self, rows: np.ndarray) -> np.ndarray:
        """Return the rows of all processes, one after the other."""
        if self.world_size == 1:
            return rows
        parts: list[np.ndarray | None] = [None] * self.world_size
        with _collective_errors():
            dist.all_gather_object(parts, rows)
        return np.concatenate([part for part in parts if part is not None])

    def broadcast_from_main(self, make: Callable[[], Value]) -> Value:
        """Let the first process make something, and give it to all.

        Raises:
            FerLmdbError: the first process could not; the others then end without a word of their own.
        """
        if self.world_size == 1:
            return make()
        made: list[Value] = []
        error: FerLmdbError | None = None
        if self.is_main_process:
            try:
                made = [make()]
            except FerLmdbError as problem:
                error = problem
        given = [made]
        with _collective_errors():
            dist.broadcast_object_list(given, src=0)
        if error:
            raise error
        if not given[0]:
            raise SystemExit(1)
        return given[0][0]


class DistributedSolver(pl.Solver):
    """A solver whose updates follow the gradients of all processes; with a team of one a plain `pl.Solver`."""

    process_group = ProcessGroup()

    def update(self) -> None:
        """Average gradients and statistics over the team, then update."""
        if self.process_group.world_size > 1:
            for entry in self.net.learnable_params:
                if entry.lr_mult != 0 and entry.parameter.grad is None:
                    entry.parameter.grad = torch.zeros_like(entry.parameter)
            self.process_group.all_reduce_mean(
                [entry.parameter.grad for entry in self.net.learnable_params if entry.parameter.grad is not None]
            )
            self.process_group.all_reduce_mean_fp64([blob for blob in self.net.buffers() if blob.is_floating_point()])
        super().update()


def is_main_process() -> bool:
    """Tell whether this process is the one that prints and writes, before any team has come together."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def init_process_group(device: str) -> Iterator[ProcessGroup]:
    """Come together with the other processes that torchrun has started.

    Args:
        device: as in the options; GPUs exchange through nccl, processors through gloo.
    Raises:
        RunError: the others cannot be reached.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield ProcessGroup()
        return
    process_group = ProcessGroup(int(os.environ["RANK"]), size, int(os.environ.get("LOCAL_RANK", "0")))
    own = process_group.device(device)
    if own.startswith("cuda"):
        torch.cuda.set_device(own)
    with _collective_errors():
        dist.init_process_group("cpu:gloo,cuda:nccl" if own.startswith("cuda") else "gloo")
    try:
        yield process_group
    finally:
        dist.destroy_process_group()


@contextmanager
def _collective_errors() -> Iterator[None]:
    """Turn what breaks off an exchange into one line."""
    try:
        yield
    except (RuntimeError, ValueError) as error:
        if isinstance(error, FerLmdbError):
            raise
        raise RunError(
            f"another process of this training has ended or cannot be reached ({_first_sentence(error)}); what that one"
            " said is the reason; the newest snapshot is whole, go on with: train --resume"
        ) from error


def _first_sentence(error: Exception) -> str:
    """Return what an error of gloo or nccl says, without the place in their source and without advice."""
    said = re.sub(r"^\[\S+:\d+\]\s*", "", str(error).strip())
    return re.split(r"\.\s|\n", said, maxsplit=1)[0].removesuffix(".") or type(error).__name__
