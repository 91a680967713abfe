"""Time, disk and memory of the pipeline as functions of the data set size.

    python benchmarks/sizes.py --csv data/fer2013.csv [--write docs/benchmarks.md]

FER2013 is repeated 1, 4 and 16 times. Every command runs in its own process; time is wall-clock time, memory is
the peak of that process. A least-squares line through the points gives the cost per additional face.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from page import machine, write_section

ITERATIONS = 200
BATCH = 64


@dataclass(frozen=True)
class Cost:
    """One measurement.

    Attributes:
        stage: Command and settings.
        faces: Number of faces processed.
        seconds: Wall-clock time.
        megabytes: Peak memory of the process.
        disk: Size of the data set in bytes; 0 if none is written.
    """

    stage: str
    faces: int
    seconds: float
    megabytes: float
    disk: int = 0


def repeated(csv: Path, times: int, target: Path) -> Path:
    """Write a csv with the rows of another one repeated."""
    with csv.open("rb") as source, target.open("wb") as out:
        out.write(source.readline())
        start = source.tell()
        for _ in range(times):
            source.seek(start)
            shutil.copyfileobj(source, out, 1 << 20)
    return target


def measure(stage: str, faces: int, arguments: list[object], disk: Path | None = None) -> Cost:
    """Run one fer-lmdb command."""
    command = [sys.executable, "-m", "fer_lmdb", *map(str, arguments)]
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        output = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}\n{output.decode()}")
    size = sum(file.stat().st_blocks * 512 for file in disk.rglob("*") if file.is_file()) if disk else 0
    cost = Cost(stage, faces, time.perf_counter() - started, usage.ru_maxrss / 1024, size)
    print(f"{stage:<28} {faces:>9,} faces {cost.seconds:8.1f} s {cost.megabytes:7.0f} MB", file=sys.stderr)
    return cost


def short_recipe(folder: Path) -> Path:
    """Copy FaceEmotionNet's folder with a solver that stops after a few iterations."""
    import prototxt_like as pl

    copy = Path(shutil.copytree(pl.zoo.path("face_emotion_net"), folder / "short"))
    solver = pl.read_solver(copy / "solver.prototxt")
    solver.max_iter = ITERATIONS
    pl.write_text(solver, copy / "solver.prototxt")
    return copy


def costs_of(csv: Path, times: int, folder: Path, long: bool) -> Iterator[Cost]:
    """Measure the stages on a csv repeated `times` times."""
    source = repeated(csv, times, folder / "faces.csv")
    data, aligned = folder / "data", folder / "aligned"
    build = ["build", source, "--json", "--out"]
    yield measure("build, no detection", rows(source), [*build, data, "--detector", "none"], data)
    if long:
        yield measure("build, MTCNN and alignment", rows(source), [*build, aligned], aligned)
    source.unlink()
    counts = {
        name: split["count"] for name, split in json.loads((data / "manifest.json").read_text())["splits"].items()
    }
    recipe = short_recipe(folder)
    train = ["train", "--model", recipe, "--data", data, "--run", folder / "run", "--json"]
    yield measure(f"train, {ITERATIONS} iterations", counts["train"], train)
    for views in (1, 10) if long else (1,):
        evaluate = ["evaluate", folder / "run", "--data", data, "--split", "val", "--tta", views, "--json"]
        yield measure(f"evaluate, {'1 view' if views == 1 else 'ten crops'}", counts["val"], evaluate)


def rows(csv: Path) -> int:
    """Count the rows of a csv below its header."""
    with csv.open("rb") as file:
        return sum(1 for _ in file) - 1


def line(costs: list[Cost]) -> tuple[float, float]:
    """Return start-up time in seconds and seconds per face, fitted by least squares of the relative errors."""
    faces = np.array([cost.faces for cost in costs], float)
    seconds = np.array([cost.seconds for cost in costs])
    if len(costs) < 2:
        return 0.0, float(seconds[0] / faces[0])
    slope, start = np.polyfit(faces, seconds, 1, w=1 / seconds)
    return float(start), float(slope)


def table(costs: list[Cost], csv_name: str) -> str:
    """Return the results in Markdown."""
    lines = [
        f"{csv_name} repeated; {machine()}. Every row is one process from start to end. Memory is its peak, including "
        "the pages of mapped files, which the kernel can reclaim. Disk is the size of the data set. Training loads all "
        f"faces, runs {ITERATIONS} iterations of {BATCH} and validates once. Its time therefore shows the cost of "
        "loading, not of an epoch.",
        "",
        "| stage | faces | time | faces/s | peak memory | disk |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    stages = dict.fromkeys(cost.stage for cost in costs)
    for stage in stages:
        for cost in (cost for cost in costs if cost.stage == stage):
            speed = "-" if stage.startswith("train") else f"{cost.faces / cost.seconds:,.0f}"
            disk = f"{cost.disk / 1e6:,.0f} MB" if cost.disk else "-"
            lines.append(
                f"| {stage} | {cost.faces:,} | {cost.seconds:.1f} s | {speed} | {cost.megabytes:,.0f} MB | {disk} |"
            )
    lines += ["", "Linear fits:", "", "| stage | start-up | per million faces |", "|---|--:|--:|"]
    for stage in stages:
        start, slope = line([cost for cost in costs if cost.stage == stage])
        lines.append(f"| {stage} | {start:.1f} s | {slope * 1e6:,.0f} s |")
    return "\n".join([*lines, "", "![Time and memory against faces](images/benchmark-sizes.png)"])


def plot(costs: list[Cost], target: Path) -> None:
    """Plot time and memory against faces on logarithmic axes, with the fitted lines."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, (time_axes, memory_axes) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for number, stage in enumerate(dict.fromkeys(cost.stage for cost in costs)):
        own = [cost for cost in costs if cost.stage == stage]
        faces = np.array([cost.faces for cost in own], float)
        style = {"color": f"C{number}", "marker": "osD^v"[number % 5]}
        start, slope = line(own)
        along = np.geomspace(faces.min(), faces.max(), 50)
        time_axes.plot(along, start + slope * along, color=style["color"], linewidth=1)
        time_axes.plot(faces, [cost.seconds for cost in own], linestyle="none", label=stage, **style)
        memory_axes.plot(faces, [cost.megabytes for cost in own], linewidth=1, label=stage, **style)
    for axes, title, unit in ((time_axes, "Time", "seconds"), (memory_axes, "Peak memory", "MB")):
        axes.set(xscale="log", yscale="log", xlabel="faces", ylabel=unit, title=title)
        axes.grid(alpha=0.3)
    time_axes.legend(fontsize=8)
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, dpi=110)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--csv", type=Path, default=Path("data/fer2013.csv"))
    parser.add_argument("--times", type=int, nargs="+", default=[1, 4, 16], help="repetitions of the csv")
    parser.add_argument("--long-up-to", type=int, default=4, help="largest repetition for MTCNN and ten views")
    parser.add_argument("--write", type=Path, help="Markdown file to write the tables into")
    options = parser.parse_args()
    costs: list[Cost] = []
    for times in options.times:
        with tempfile.TemporaryDirectory() as folder:
            costs += costs_of(options.csv, times, Path(folder), long=times <= options.long_up_to)
    text = table(costs, options.csv.name)
    print(text)
    if options.write:
        plot(costs, options.write.parent / "images" / "benchmark-sizes.png")
        write_section(options.write, "sizes", "Cost against size", text)


if __name__ == "__main__":
    main()
