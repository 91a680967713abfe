"""Training FaceEmotionNet: `fer-lmdb train` beside the loop that people write in plain PyTorch.

    python benchmarks/training.py --data data/fer2013 [--write docs/benchmarks.md]

Both learn from the same database with the same net, batch and solver: random crop, mirror, mean, SGD with momentum.
They run in processes of their own and take turns; the table has the median of the ratios of neighboring turns.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from charts import bars
from page import machine, write_section

BATCH = 64
WARM_UP = 10


def plain(data: str, iterations: int, precision: str) -> float:
    """The loop of most repositories: a Dataset over the LMDB's faces, a DataLoader, torch.optim. Faces a second."""
    import numpy as np
    import torch
    from net_overhead import by_hand
    from torch.utils.data import DataLoader, Dataset

    from fer_lmdb.data.dataset import DataSet

    opened = DataSet.open(data)
    split, mean = opened.read("train"), torch.from_numpy(opened.mean())

    class Faces(Dataset[tuple[torch.Tensor, int]]):
        def __len__(self) -> int:
            return len(split.labels)

        def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
            face = torch.from_numpy(split.images[index]).float() - mean
            top, left = np.random.randint(0, 7, 2)
            face = face[:, top : top + 42, left : left + 42]
            return (face.flip(-1) if np.random.rand() < 0.5 else face), int(split.labels[index])

    net = by_hand().train()
    for layer in net:
        if isinstance(layer, (torch.nn.Conv2d, torch.nn.Linear)):
            torch.nn.init.xavier_uniform_(layer.weight)
    solver = torch.optim.SGD(net.parameters(), 0.001, momentum=0.9, weight_decay=0.0005)
    loader = DataLoader(Faces(), BATCH, shuffle=True, drop_last=True)
    started, done = 0.0, 0
    for done, (faces, labels) in enumerate(loader):
        if done == WARM_UP:
            started = time.perf_counter()
        if done == WARM_UP + iterations:
            break
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            loss = torch.nn.functional.cross_entropy(net(faces), labels)
        solver.zero_grad()
        loss.backward()
        solver.step()
    return (done - WARM_UP) * BATCH / (time.perf_counter() - started)


def ours(data: str, iterations: int, precision: str) -> float:
    """The product's own loop, without validation and snapshots. Faces a second."""
    from fer_lmdb.data.dataset import DataSet
    from fer_lmdb.models.run_folder import RunFolder
    from fer_lmdb.runtime.malloc import tune_malloc
    from fer_lmdb.training.builder import build_trainer
    from fer_lmdb.training.options import TrainOptions
    from fer_lmdb.training.recipe import build_recipe

    tune_malloc()
    opened = DataSet.open(data)
    options = TrainOptions(data=data, precision=precision)
    recipe = build_recipe(options, opened.count("train"), len(opened.scheme))
    with tempfile.TemporaryDirectory() as folder:
        trainer = build_trainer(recipe, opened, RunFolder(Path(folder)))
        started = 0.0
        for done in range(WARM_UP + iterations):
            if done == WARM_UP:
                started = time.perf_counter()
            trainer.step()
        return iterations * BATCH / (time.perf_counter() - started)


LOOPS = {"fer-lmdb": ours, "plain": plain}


def turn(loop: str, precision: str, options: argparse.Namespace) -> float:
    """Run one loop in a process of its own; faces a second."""
    command = [sys.executable, __file__, "--data", options.data, "--iterations", str(options.iterations)]
    done = subprocess.run([*command, "--work", loop, precision], capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout))


def table(options: argparse.Namespace) -> tuple[str, dict[str, float]]:
    """Measure; return the results in Markdown, and faces a second by program."""
    speeds = {}
    lines = [
        f"FaceEmotionNet, batch size {BATCH}, {options.iterations} iterations per turn, {options.rounds} turns each, "
        f"including loading and augmentation; {machine()}.",
        "",
        "| precision | `fer-lmdb train` | plain PyTorch | ratio |",
        "|---|--:|--:|--:|",
    ]
    for precision in ("bfloat16", "float32"):
        turns = [[turn(loop, precision, options) for loop in LOOPS] for _ in range(options.rounds)]
        mine, theirs = (statistics.median(speeds) for speeds in zip(*turns, strict=True))
        ratio = statistics.median(one / other for one, other in turns)
        speeds |= {f"fer-lmdb, {precision}": mine, f"plain PyTorch, {precision}": theirs}
        lines.append(f"| {precision} | {mine:,.0f} faces/s | {theirs:,.0f} faces/s | {ratio:.2f} |")
    return "\n".join(lines), speeds


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="data/fer2013", help="data set that build has written")
    parser.add_argument("--iterations", type=int, default=150)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", type=Path, help="Markdown file to write the table into")
    parser.add_argument("--work", nargs=2, metavar=("LOOP", "PRECISION"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        print(LOOPS[options.work[0]](options.data, options.iterations, options.work[1]))
        return
    text, speeds = table(options)
    print(text)
    if options.write:
        chart = options.write.parent / "images" / "benchmark-training.png"
        text += "\n\n" + bars(chart, "Training, faces/s", speeds)
        write_section(options.write, "training", "Training", text)


if __name__ == "__main__":
    main()
