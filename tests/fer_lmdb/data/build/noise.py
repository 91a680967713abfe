"""A source of random images for build tests, and a program that kills itself during a build."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fer_lmdb.data.build import BuildOptions, build
from fer_lmdb.data.sources import InvalidSample, Sample
from fer_lmdb.faces.preprocessing import Preprocessing
from fer_lmdb.io import atomic
from fer_lmdb.labels import FER2013

COUNTS = {"train": 1300, "val": 40, "test": 30}
UNALIGNED = Preprocessing(detector="none")


class Noise:
    """Random gray images in FER2013's classes.

    Args:
        seed: Seed of the images.
        counts: Images per split.
        bad: Rows that are invalid.
    """

    name = "noise"
    classes = FER2013.classes

    def __init__(self, seed: int = 0, counts: dict[str, int] = COUNTS, bad: tuple[int, ...] = ()) -> None:
        self.seed = seed
        self.counts = counts
        self.bad = bad

    def __iter__(self) -> Iterator[Sample | InvalidSample]:
        generator = np.random.default_rng(self.seed)
        splits = [split for split, count in self.counts.items() for _ in range(count)]
        for row, split in enumerate(splits):
            image = generator.integers(0, 256, (48, 48), dtype=np.uint8)
            if row in self.bad:
                yield InvalidSample(f"noise:{row}", "is bad", split)
            else:
                yield Sample(f"/{split}/{row % 7}/{row:05d}.png", split, row % 7, image, f"noise:{row}", row)

    def size_hint(self) -> int:
        return sum(self.counts.values())

    def sha256(self) -> str:
        return f"noise {self.seed}"


def die() -> None:
    number = signal.Signals[sys.argv[3]] if len(sys.argv) > 3 else signal.SIGKILL
    os.kill(os.getpid(), number)


def die_in_stage(stage: str) -> None:
    """Build until a stage is reported, then die."""

    def progress(now: str, done: int, total: int | None) -> None:
        if now == stage:
            die()

    run(progress)


def run(progress) -> None:
    build(Noise(2), Path(sys.argv[1]), options=BuildOptions(UNALIGNED, seed=2), force=True, progress=progress)


def main() -> None:
    """Build into argv[1]; die at the moment argv[2] by the signal argv[3] (default: SIGKILL)."""
    moment = sys.argv[2]
    exchange, sync_tree = atomic._exchange, atomic.fsync_tree
    if moment == "before sync":
        atomic.fsync_tree = lambda folder: die()
    elif moment == "after sync":
        atomic.fsync_tree = lambda folder: (sync_tree(folder), die())
    elif moment == "after exchange":
        atomic._exchange = lambda one, other: (exchange(one, other), die())
    elif moment == "between two renames":
        atomic._exchange = lambda one, other: False
        rename = Path.rename
        Path.rename = lambda self, other: (rename(self, other), die() if str(other).endswith("-old") else None)
    elif moment == "after two renames":
        atomic._exchange = lambda one, other: False
        atomic.fsync = lambda path: die() if path == Path(sys.argv[1]).parent else None
    else:
        die_in_stage(moment)
    run(lambda stage, done, total: None)


if __name__ == "__main__":
    main()
