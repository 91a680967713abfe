"""Reading faces for a training: from memory, and streamed from the database by 0, 1 and 2 worker processes.

    python benchmarks/loader.py --data data/fer2013 [--write docs/benchmarks.md]

First each of them, in a process of its own, gives batches as fast as it can. Then each feeds trainings of the same
net, in turns; the share is the part of a step that the training waits for its batch, the median over the turns.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from charts import bars
from page import machine, write_section

from fer_lmdb.data.dataset import DataSet
from fer_lmdb.data.loaders import LoaderOptions
from fer_lmdb.models.run_folder import RunFolder
from fer_lmdb.training.builder import build_trainer
from fer_lmdb.training.options import TrainOptions
from fer_lmdb.training.recipe import build_recipe
from fer_lmdb.training.trainer import Trainer

WAYS = {
    "memory": LoaderOptions("memory"),
    "stream, 0 workers": LoaderOptions("stream", 0),
    "stream, 1 worker": LoaderOptions("stream", 1),
    "stream, 2 workers": LoaderOptions("stream", 2),
}


def own_megabytes() -> float:
    """Memory that this process and its workers have for themselves: no files, and shared pages in parts."""
    total = 0
    for process in [os.getpid(), *(child.pid for child in multiprocessing.active_children())]:
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss_Anon:"):
                total += int(line.split()[1])
    return total / 1024


def open_session(data: str, folder: Path, way: str, batch: int) -> Trainer:
    """Make a training ready."""
    opened = DataSet.open(data)
    options = TrainOptions(data=data, batch_size=batch, precision="auto", device="cpu")
    recipe = build_recipe(options, opened.count("train"), len(opened.scheme))
    return build_trainer(recipe, opened, RunFolder(folder), WAYS[way])


def drain(session: Trainer, batches: int) -> float:
    """Take batches as fast as they come; return faces a second, the start of the workers left out."""
    session.loader.at(0)
    began = time.perf_counter()
    for number in range(1, batches + 1):
        session.loader.at(number)
    return batches * session.recipe.batch_size / (time.perf_counter() - began)


def alone(data: str, batch: int, batches: int, way: str) -> dict[str, float]:
    """Read without training, in this process; what it needs for itself counts from here on."""
    with tempfile.TemporaryDirectory() as folder:
        before = own_megabytes()
        session = open_session(data, Path(folder), way, batch)
        speed = drain(session, batches)
        megabytes = own_megabytes() - before
        session.loader.close()
    return {"faces_per_second": speed, "megabytes": megabytes}


def alone_in_a_process(arguments: argparse.Namespace, way: str) -> dict[str, float]:
    """Read without training, in a new process: memory that another way has left would be taken again."""
    command = [sys.executable, __file__, "--data", arguments.data, "--batch", arguments.batch]
    command += ["--batches", arguments.batches, "--work", way]
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def step_and_wait(session: Trainer, steps: int) -> tuple[float, float]:
    """Train; return the seconds of a step, and how many of them it waited for its batch."""
    waited, at = 0.0, session.loader.at

    def timed(number: int) -> tuple[torch.Tensor, torch.Tensor]:
        nonlocal waited
        began = time.perf_counter()
        batch = at(number)
        waited += time.perf_counter() - began
        return batch

    session.step()  # lets the workers begin where this turn begins
    session.loader.at = timed  # type: ignore[method-assign]
    began = time.perf_counter()
    for _ in range(steps):
        session.step()
    seconds = time.perf_counter() - began
    session.loader.at = at  # type: ignore[method-assign]
    return seconds / steps, waited / steps


def measure(arguments: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Measure every way of reading."""
    results = {way: alone_in_a_process(arguments, way) for way in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        sessions = {way: open_session(arguments.data, Path(folder), way, arguments.batch) for way in WAYS}
        turns: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
        for _ in range(arguments.rounds):
            for way, session in sessions.items():
                turns[way].append(step_and_wait(session, arguments.steps))
        for way, result in results.items():
            result["step_ms"] = 1000 * statistics.median(seconds for seconds, _ in turns[way])
            result["wait_ms"] = 1000 * statistics.median(wait for _, wait in turns[way])
            result["share"] = statistics.median(wait / seconds for seconds, wait in turns[way])
            sessions[way].loader.close()
    return results


def table(results: dict[str, dict[str, float]], arguments: argparse.Namespace) -> str:
    """The results in Markdown."""
    data = DataSet.open(arguments.data)
    lines = [
        f"{data.count('train'):,} faces of {data.manifest['size']} x {data.manifest['size']}, batches of"
        f" {arguments.batch}; training steps of FaceEmotionNet. {machine(torch.get_num_threads())}. Waiting time:"
        f" median of {arguments.rounds} turns of {arguments.steps} steps. Memory: private memory of the trainer and its"
        " workers, net and solver included.",
        "",
        "| loader | faces/s, reading only | waiting time | fraction of the step | private memory |",
        "|---|--:|--:|--:|--:|",
    ]
    for way, result in results.items():
        lines.append(
            f"| {way} | {result['faces_per_second']:,.0f} | {result['wait_ms']:.2f} ms of {result['step_ms']:.0f} ms"
            f" | {result['share']:.1%} | {result['megabytes']:.0f} MB |"
        )
    return "\n".join(lines)


def main() -> None:
    """Read the options, measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="data/fer2013")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=10, help="steps of a turn")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=300, help="batches that are only read")
    parser.add_argument("--write", type=Path, help="put the results into this Markdown file")
    parser.add_argument("--work", metavar="WAY", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        print(json.dumps(alone(arguments.data, arguments.batch, arguments.batches, arguments.work)))
        return
    results = measure(arguments)
    text = table(results, arguments)
    print(text)
    json.dump(results, sys.stderr, indent=2)
    if arguments.write:
        shares = {f"fer-lmdb, {way}": 100 * result["share"] for way, result in results.items()}
        chart = arguments.write.parent / "images" / "benchmark-loader.png"
        text += "\n\n" + bars(chart, "Fraction of a training step spent waiting for data, %", shares, "{:.2f}")
        write_section(arguments.write, "loader", "Data loading", text)


if __name__ == "__main__":
    main()
