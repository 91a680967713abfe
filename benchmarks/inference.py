"""How many faces a second the shipped models classify, transform included.

    python benchmarks/inference.py [--write docs/benchmarks.md]

Faces are drawn at random: their values change nothing about the time. Models take turns; the table has the best turn.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

from charts import bars
from page import machine, write_section

from fer_lmdb.memory import keep_freed_blocks

keep_freed_blocks()  # before PyTorch is imported, as the command line does

import numpy as np  # noqa: E402
import torch  # noqa: E402

from fer_lmdb import models  # noqa: E402
from fer_lmdb.classifier import Classifier  # noqa: E402

FACES = 1024


@dataclass
class Speed:
    """A model and its best times so far, in seconds: 1,024 faces in batches, and one face alone."""

    name: str
    parameters: int
    classifier: Classifier
    many: float = float("inf")
    one: float = float("inf")

    def measure(self, faces: np.ndarray) -> None:
        """Take a turn."""
        self.many = min(self.many, self._seconds(faces))
        self.one = min(self.one, *(self._seconds(faces[:1]) for _ in range(10)))

    def _seconds(self, faces: np.ndarray) -> float:
        began = time.perf_counter()
        self.classifier.probabilities(faces)
        return time.perf_counter() - began


def open_all() -> list[Speed]:
    """Open every shipped model."""
    loaded = {name: models.load(name) for name in models.shipped_names()}
    return [Speed(name, model.parameters, model.classifier()) for name, model in loaded.items()]


def table(speeds: list[Speed], rounds: int) -> str:
    """The results in Markdown."""
    lines = [
        f"{FACES:,} faces of 48 x 48 in batches as `evaluate` and `predict` make them, and one face alone; float32, "
        f"one view, cut and normalised as each model wants it, without detection. Best of {rounds} turns; "
        f"{machine(torch.get_num_threads())}.",
        "",
        "| model | values in the file | faces/s | one face |",
        "|---|--:|--:|--:|",
    ]
    for speed in speeds:
        each = f"{FACES / speed.many:,.0f} | {1000 * speed.one:.2f} ms"
        lines.append(f"| `{speed.name}` | {speed.parameters:,} | {each} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--write", type=Path, help="Markdown file that shall hold the table")
    options = parser.parse_args()
    faces = np.random.default_rng(0).integers(0, 256, (FACES, 1, 48, 48), dtype=np.uint8)
    speeds = open_all()
    for _ in range(options.rounds):
        for speed in speeds:
            speed.measure(faces)
    text = table(speeds, options.rounds)
    print(text)
    if options.write:
        values = {f"fer-lmdb {speed.name}": FACES / speed.many for speed in speeds}
        if len(values) > 1:
            chart = options.write.parent / "images" / "benchmark-inference.png"
            text += "\n\n" + bars(chart, "Classifying: faces a second", values)
        write_section(options.write, "inference", "Classifying faces", text)


if __name__ == "__main__":
    main()
