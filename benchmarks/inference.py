"""How many faces a second the shipped models classify, transform included.

    python benchmarks/inference.py [--write docs/benchmarks.md]

Faces are drawn at random: their values change nothing about the time. Models take turns; the table has the best turn.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, field
from pathlib import Path

from charts import bars
from page import machine, write_section

from fer_lmdb.runtime.malloc import tune_malloc

tune_malloc()  # before PyTorch is imported, as the command line does

import numpy as np  # noqa: E402
import torch  # noqa: E402

from fer_lmdb.models.classifier import Classifier  # noqa: E402
from fer_lmdb.models.registry import list_pretrained, load_model  # noqa: E402

FACES = 1024


#: What is measured, by the heading of its column: precision and views.
COLUMNS = {
    "float32": (torch.float32, 1),
    "bfloat16": (torch.bfloat16, 1),
    "bfloat16, 2 views": (torch.bfloat16, 2),
}


@dataclass
class Speed:
    """A model and its best times so far, in seconds: 1,024 faces in batches by column, and one face alone."""

    name: str
    parameters: int
    classifiers: dict[str, Classifier]
    many: dict[str, float] = field(default_factory=dict)
    one: float = float("inf")

    def measure(self, faces: np.ndarray) -> None:
        """Take a turn."""
        for column, (_, views) in COLUMNS.items():
            seconds = self._seconds(self.classifiers[column], faces, views)
            self.many[column] = min(self.many.get(column, seconds), seconds)
        self.one = min(self.one, *(self._seconds(self.classifiers["float32"], faces[:1], 1) for _ in range(10)))

    def _seconds(self, classifier: Classifier, faces: np.ndarray, views: int) -> float:
        began = time.perf_counter()
        classifier.probabilities(faces, views)
        return time.perf_counter() - began


def open_all() -> list[Speed]:
    """Open every shipped model."""
    loaded = {name: load_model(name) for name in list_pretrained()}
    return [
        Speed(
            name,
            model.parameters,
            {column: Classifier(model, precision=precision) for column, (precision, _) in COLUMNS.items()},
        )
        for name, model in loaded.items()
    ]


def table(speeds: list[Speed], rounds: int) -> str:
    """The results in Markdown."""
    lines = [
        f"{FACES:,} faces of 48 x 48 in the batches that `evaluate` and `predict` use, in faces/s, and a single face "
        "(float32, one view). Cropping and normalization of each model are included, detection is not. One view unless "
        f"noted. Best of {rounds} turns; {machine(torch.get_num_threads())}.",
        "",
        f"| model | values in file | {' | '.join(COLUMNS)} | one face |",
        f"|---|--:|{'--:|' * len(COLUMNS)}--:|",
    ]
    for speed in speeds:
        rates = " | ".join(f"{FACES / speed.many[column]:,.0f}" for column in COLUMNS)
        lines.append(f"| `{speed.name}` | {speed.parameters:,} | {rates} | {1000 * speed.one:.2f} ms |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--write", type=Path, help="Markdown file to write the table into")
    options = parser.parse_args()
    faces = np.random.default_rng(0).integers(0, 256, (FACES, 1, 48, 48), dtype=np.uint8)
    speeds = open_all()
    for _ in range(options.rounds):
        for speed in speeds:
            speed.measure(faces)
    text = table(speeds, options.rounds)
    print(text)
    if options.write:
        values = {
            f"fer-lmdb {speed.name}, {column}": FACES / speed.many[column] for speed in speeds for column in COLUMNS
        }
        if len(values) > 1:
            chart = options.write.parent / "images" / "benchmark-inference.png"
            text += "\n\n" + bars(chart, "Classification, faces/s", values)
        write_section(options.write, "inference", "Classifying faces", text)


if __name__ == "__main__":
    main()
