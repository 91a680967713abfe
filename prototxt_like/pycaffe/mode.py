"""Global settings of pycaffe. Nets run on the CPU."""

from __future__ import annotations

import time

import torch

from prototxt_like import glog
from prototxt_like.layers.registry import layer_types


def set_mode_cpu() -> None:
    """Run nets on the CPU, which is always so."""


def set_mode_gpu() -> None:
    """Log that nets of pycaffe run on the CPU, because their arrays share its memory."""
    glog.warning("common.cpp:100", "pycaffe runs on the CPU here; use python -m prototxt_like train -gpu 0 for a GPU")


def set_device(device_id: int) -> None:
    """Accept the number of a GPU without effect."""


def set_random_seed(seed: int) -> None:
    """Seed all random numbers."""
    torch.manual_seed(seed)


def init_log(level: int = 0, stderr: bool = True) -> None:
    """Accept the settings of glog; the environment variable GLOG_minloglevel sets the level."""


def log(message: str) -> None:
    """Log a message of level INFO."""
    glog.info("_caffe.cpp:58", message)


def layer_type_list() -> list[str]:
    """Return the names of all layer types."""
    return layer_types()


def solver_count() -> int:
    """Return the number of solvers: 1."""
    return 1


def solver_rank() -> int:
    """Return the number of this solver: 0."""
    return 0


def has_nccl() -> bool:
    """Return whether several GPUs can be used: False."""
    return False


class Timer:
    """Stopwatch.

    Attributes:
        ms: Milliseconds between the last start and stop.
    """

    def __init__(self) -> None:
        self._start, self.ms = time.perf_counter(), 0.0

    def start(self) -> None:
        """Start."""
        self._start = time.perf_counter()

    def stop(self) -> None:
        """Stop."""
        self.ms = 1000 * (time.perf_counter() - self._start)
