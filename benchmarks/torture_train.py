"""Kill training runs at random moments: a resumed run must end with the weights of an uninterrupted one.

    python benchmarks/torture_train.py --kills 1000

A small net is trained on synthetic faces. The run is started repeatedly in one folder and killed with SIGKILL, at
a moment drawn uniformly from half the duration of an uninterrupted run, until it finishes. Then weights, log and
TensorBoard curves are compared with those of the uninterrupted run. After each kill the snapshot must be readable and
not older than before. Each start selects a loader at random: in memory, or streamed with or without a worker process.

Most runs start as a fork of this process, which has imported the libraries, so that kills hit training and not imports.
--programs N starts N of them with the command line.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fer_lmdb.data.build import BuildOptions as BuildOptions
from fer_lmdb.data.build import build
from fer_lmdb.data.loaders import LoaderOptions
from fer_lmdb.data.sources.synthetic import SyntheticFaces
from fer_lmdb.faces.preprocessing import Preprocessing
from fer_lmdb.models.run_folder import RunFolder
from fer_lmdb.training.options import TrainOptions
from fer_lmdb.training.snapshot import Snapshot
from fer_lmdb.training.train import resume, train

EPOCHS, BATCH, FACES, VALIDATION = 8, 24, 96, 24
MEMORY = LoaderOptions("memory")
LOADINGS = (MEMORY, LoaderOptions("stream", workers=0), LoaderOptions("stream", workers=1))
Start = Callable[[TrainOptions, Path, LoaderOptions], int]
CURVES = ("train/loss", "train/lr", "val/loss", "val/accuracy")

DATA = """layer {{ name: "data" type: "Data" top: "data" top: "label" include {{ phase: {phase} }}
  transform_param {{ crop_size: 42 mirror: true mean_file: "mean.binaryproto" }} data_param {{ batch_size: 24 }} }}
"""
INPUT = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 1 dim: 42 dim: 42 } } }\n'
BODY = """layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 5 stride: 3 weight_filler { type: "xavier" } } }
layer { name: "norm" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "drop" type: "Dropout" bottom: "conv" top: "conv" }
layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc"
  inner_product_param { num_output: 7 weight_filler { type: "xavier" } } }
"""
LOSS = 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }\n'
PROB = 'layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }\n'
SOLVER = """base_lr: 0.01 momentum: 0.9 weight_decay: 0.0005 lr_policy: "multistep" gamma: 0.1 max_iter: 84 display: 1
label_smoothing: 0.1 mixup: 0.4 ema_decay: 0.9
"""


# ---------------------------------------------------------------- what is trained


def write_net(folder: Path) -> Path:
    """Write a net as a folder like the zoo's: small, with everything that has a state or draws random numbers."""
    folder.mkdir()
    (folder / "train_val.prototxt").write_text(DATA.format(phase="TRAIN") + DATA.format(phase="TEST") + BODY + LOSS)
    (folder / "deploy.prototxt").write_text(INPUT + BODY + PROB)
    (folder / "solver.prototxt").write_text(SOLVER)
    return folder


def prepare(folder: Path) -> TrainOptions:
    """Build the data set and the net; return the options of the training."""
    build(SyntheticFaces(FACES, VALIDATION, 7), folder / "data", options=BuildOptions(Preprocessing(detector="none")))
    return TrainOptions(
        model=str(write_net(folder / "net")),
        data=str(folder / "data"),
        epochs=EPOCHS,
        batch_size=BATCH,
        precision="float32",
        device="cpu",
    )


# ---------------------------------------------------------------- starting and killing


def go(options: TrainOptions, run: Path, loading: LoaderOptions = MEMORY) -> None:
    """Start or resume the run."""
    if (run / "run.json").exists():
        resume(run, loaders=loading)
    else:
        train(options, run, loaders=loading)


def start_fork(options: TrainOptions, run: Path, loading: LoaderOptions = MEMORY) -> int:
    """Train in a fork of this process and return its process ID."""
    process = os.fork()
    if process == 0:
        code = 1
        try:
            go(options, run, loading)
            code = 0
        finally:
            os._exit(code)
    return process


def start_program(options: TrainOptions, run: Path, loading: LoaderOptions = MEMORY) -> int:
    """Train with the command line and return the process ID."""
    command = [sys.executable, "-m", "fer_lmdb", "train", "--run", str(run)]
    command += ["--loader", loading.loader, "--workers", str(loading.workers)]
    if (run / "run.json").exists():
        command.append("--resume")
    else:
        command += ["--model", options.model, "--data", options.data, "--epochs", str(options.epochs)]
        command += [
            "--batch-size",
            str(options.batch_size),
            "--precision",
            options.precision,
            "--device",
            options.device,
        ]
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment).pid


def wall_of(start: Start, options: TrainOptions, run: Path) -> float:
    """Return the seconds of an uninterrupted run."""
    began = time.perf_counter()
    if os.waitstatus_to_exitcode(os.waitpid(start(options, run, MEMORY), 0)[1]) != 0:
        raise SystemExit(f"{run}: the uninterrupted run did not finish")
    return time.perf_counter() - began


# ---------------------------------------------------------------- comparing


def iteration_of(run: Path) -> int | None:
    """Return the iteration of the snapshot, or None before the first one; a damaged snapshot is an error."""
    snapshot = Snapshot.read(RunFolder(run))
    return None if snapshot is None else int(snapshot.metadata["iteration"])


def curves_of(run: Path) -> dict[str, list[tuple[int, float]]]:
    """Return the curves as TensorBoard shows them; of the speed, which is never the same, the steps alone."""
    events = EventAccumulator(str(RunFolder(run).tensorboard), size_guidance={"scalars": 0})
    events.Reload()
    curves = {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in CURVES}
    return {**curves, "steps": [(event.step, 0.0) for event in events.Scalars("train/faces_per_second")]}


def compare(run: Path, whole: Path) -> None:
    """Compare a run that was killed with one that was not; any difference is an error."""
    for name in ("last.safetensors", "best.safetensors", "snapshot.safetensors"):
        one, other = load_file(run / name), load_file(whole / name)
        if one.keys() != other.keys() or not all(torch.equal(one[key], other[key]) for key in one):
            raise SystemExit(f"{run / name} differs from {whole / name}")
    if RunFolder(run).read_log() != RunFolder(whole).read_log():
        raise SystemExit(f"{run}: its log differs from that of {whole}")
    expected = curves_of(whole)
    for tag, found in curves_of(run).items():
        if found != expected[tag]:
            raise SystemExit(f"{run}: the curve {tag} is {found}, not {expected[tag]}")
    if list(run.glob("*.partial")):
        raise SystemExit(f"{run}: a half-written file was left")


class Campaign:
    """Kills trainings one after the other and counts."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.moments = folder, random.Random(seed)
        self.options = prepare(folder)
        self.whole = folder / "whole"
        go(self.options, self.whole)  # here, so that forks find everything loaded
        self.kills, self.runs, self.half_written, self.seconds = 0, 0, 0, 0.0
        self.outcomes: Counter[str] = Counter()

    def torture(self, kills: int, start: Start) -> None:
        """Kill that many trainings; each run comes to its end and is compared."""
        wanted = self.kills + kills
        self.seconds = wall_of(start, self.options, self.folder / f"timed by {start.__name__}")
        while self.kills < wanted:
            self.runs += 1
            run = self.folder / f"run-{self.runs}"
            began, before = time.perf_counter(), self.kills
            while self._kill_once(run, wanted, start):
                pass
            compare(run, self.whole)
            if start is start_fork and self.kills > before:  # other programs come and go
                self.seconds += 0.1 * (time.perf_counter() - began - self.seconds)
            shutil.rmtree(run)

    def _kill_once(self, run: Path, wanted: int, start: Start) -> bool:
        """Start or resume, and kill; return whether the run is unfinished."""
        before = iteration_of(run)
        process = start(self.options, run, self.moments.choice(LOADINGS))
        if self.kills < wanted:
            time.sleep(self.moments.uniform(0, self.seconds / 2))
            os.kill(process, signal.SIGKILL)
        status = os.waitpid(process, 0)[1]
        if not os.WIFSIGNALED(status):
            if os.waitstatus_to_exitcode(status) != 0:
                raise SystemExit(f"{run}: the training failed with code {os.waitstatus_to_exitcode(status)}")
            return False
        after = iteration_of(run)
        if (after or 0) < (before or 0):
            raise SystemExit(f"{run}: the snapshot fell back from iteration {before} to {after}")
        if after == before:  # the machine has become slower; a run has to come to its end some time
            self.seconds *= 1.05
        self.kills += 1
        self.outcomes[self._where(run, before, after)] += 1
        self.half_written += bool(list(run.glob("*.partial")))
        return True

    def _where(self, run: Path, before: int | None, after: int | None) -> str:
        """Describe the progress of a killed run."""
        if not (run / "run.json").exists():
            return "before the run began"
        if after is None:
            return "before its first snapshot"
        return "resumed without a new snapshot" if after == before else "after a new snapshot"

    def report(self) -> dict[str, object]:
        """Return the counts."""
        return {
            "kills": self.kills,
            "runs": self.runs,
            "iterations_of_a_run": EPOCHS * FACES // BATCH,
            "outcomes": dict(self.outcomes.most_common()),
            "kills_that_left_a_half_written_file": self.half_written,
        }


def main() -> None:
    """Parse the options, run, and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--programs", type=int, default=0, help="how many of them hit a program of its own")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # a fork does not inherit the others
    logging.getLogger("tensorboard").setLevel(logging.ERROR)  # it reports every continued curve
    with tempfile.TemporaryDirectory() as folder:
        campaign = Campaign(Path(folder), arguments.seed)
        with suppress(KeyboardInterrupt):  # Ctrl-C ends the campaign and shows what it has counted
            campaign.torture(arguments.kills - arguments.programs, start_fork)
            if arguments.programs:
                campaign.torture(arguments.programs, start_program)
        print(json.dumps(campaign.report(), indent=2))


if __name__ == "__main__":
    main()
