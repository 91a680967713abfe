"""Data-parallel training with torchrun; a single process has world size 1.

Each process computes its part of every batch and backpropagates its own loss. Before an update, gradients and BatchNorm
statistics are averaged over all processes. After it, all processes hold bit-identical weights, so the main process can
write snapshots and models.
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
from fer_lmdb.errors import ERRORS, RunError
from fer_lmdb.runtime.seeding import derive_seed

Value = TypeVar("Value")


@dataclass(frozen=True)
class ProcessGroup:
    """Processes that train together.

    Attributes:
        rank: Number of this process, from 0. The main process, rank 0, writes the run folder and prints.
        world_size: Number of processes.
        local_rank: Number of this process on its machine, and of its GPU.
    """

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0

    @property
    def is_main_process(self) -> bool:
        """Whether this process writes and prints."""
        return self.rank == 0

    def device(self, name: str) -> str:
        """Return the device of this process: with several processes, "auto" and "cuda" select one GPU each."""
        use_gpu = name == "cuda" or (name == "auto" and torch.cuda.is_available())
        return f"cuda:{self.local_rank}" if use_gpu and self.world_size > 1 else name

    def local_batch_size(self, batch_size: int) -> int:
        """Return the faces per batch and process.

        Raises:
            RunError: If the batch size is not divisible by the number of processes.
        """
        if batch_size % self.world_size:
            raise RunError(
                f"batch size {batch_size} is not divisible by the number of processes ({self.world_size}); "
                "change --batch-size"
            )
        return batch_size // self.world_size

    def rank_seed(self, seed: int) -> int:
        """Return the seed of this process; the main process uses the seed of the run."""
        return seed if self.is_main_process else derive_seed(seed, self.rank, "rank")

    def all_reduce_mean(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors of one dtype with their means over all processes, in one collective."""
        if self.world_size == 1 or not tensors:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        with _collective_errors():
            dist.all_reduce(flat)
        parts = (flat / self.world_size).split([tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))

    def all_reduce_mean_fp64(self, tensors: Sequence[Tensor]) -> None:
        """Average in double precision, so that the mean of equal float32 values is exactly that value."""
        if self.world_size > 1 and tensors:
            wide = [tensor.double() for tensor in tensors]
            self.all_reduce_mean(wide)
            for tensor, value in zip(tensors, wide, strict=True):
                tensor.copy_(value)

    def any_rank(self, flag: bool) -> bool:
        """Return whether the flag is set in any process."""
        if self.world_size == 1:
            return flag
        count = torch.tensor([float(flag)])
        with _collective_errors():
            dist.all_reduce(count)
        return bool(count.item())

    def rank_slice(self, count: int) -> slice:
        """Return the slice of this process among `count` items; the slices of all processes cover all items once."""
        return slice(self.rank * count // self.world_size, (self.rank + 1) * count // self.world_size)

    def all_gather(self, rows: np.ndarray) -> np.ndarray:
        """Return the rows of all processes, concatenated in rank order."""
        if self.world_size == 1:
            return rows
        parts: list[np.ndarray | None] = [None] * self.world_size
        with _collective_errors():
            dist.all_gather_object(parts, rows)
        return np.concatenate([part for part in parts if part is not None])

    def broadcast_from_main(self, make: Callable[[], Value]) -> Value:
        """Call a function in the main process and return its result in all processes.

        Raises:
            FerLmdbError, PrototxtLikeError: If the function raised it in the main process; the other processes exit
                silently.
        """
        if self.world_size == 1:
            return make()
        made: list[Value] = []
        error: Exception | None = None
        if self.is_main_process:
            try:
                made = [make()]
            except ERRORS as problem:
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
    """Solver that averages gradients over all processes.

    Args:
        solver: Solver parameter.
        net: TRAIN net.
        process_group: Processes that train together.
        fused: Use PyTorch's fused kernels, see `pl.Solver`.
    """

    def __init__(
        self, solver: pl.SolverParameter, net: pl.Net, process_group: ProcessGroup, *, fused: bool | None = None
    ) -> None:
        super().__init__(solver, net, fused=fused)
        self.process_group = process_group

    def set_lr_reductions(self, count: int) -> None:
        """Set the number of reductions of the learning rate so far, under lr_policy plateau."""
        self.plateaus = count

    def update(self) -> None:
        """Average gradients and BatchNorm statistics over all processes, then update."""
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
    """Return whether this is the main process, before the process group is initialized."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def init_process_group(device: str) -> Iterator[ProcessGroup]:
    """Initialize the process group if torchrun started this process.

    Args:
        device: Device option; GPUs communicate with NCCL, CPUs with Gloo.
    Raises:
        RunError: If the other processes cannot be reached.
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
    """Convert errors of collectives to one line."""
    try:
        yield
    except (RuntimeError, ValueError) as error:
        if isinstance(error, ERRORS):
            raise
        raise RunError(
            f"lost contact with another training process ({_first_sentence(error)}); "
            "see its output for the cause, then resume with: fer-lmdb train --resume"
        ) from error


def _first_sentence(error: Exception) -> str:
    """Return the first sentence of a Gloo or NCCL error, without source location."""
    text = re.sub(r"^\[\S+:\d+\]\s*", "", str(error).strip())
    return re.split(r"\.\s|\n", text, maxsplit=1)[0].removesuffix(".") or type(error).__name__
