"""Writes material.tar.xz and expected.json.xz; README.md says with which version that was done and what they hold.

OMP_NUM_THREADS=1 PYTHONPATH=. python tests/legacy/make.py FOLDER

All commands run inside FOLDER, which has to be empty, with relative paths: no path of a machine gets into the files.
"""

from __future__ import annotations

import io
import json
import lzma
import os
import shutil
import signal
import sys
import tarfile
from contextlib import redirect_stdout
from pathlib import Path

import cv2
import fer_lmdb.evaluate as evaluation
import numpy as np
from fer_lmdb.sources.drawn import draw_face, write_drawn_csv

from fer_lmdb.cli import cli
from fer_lmdb.cli.train import _Display

HERE = Path(__file__).resolve().parent
PACKED = ("data", "runs", "models", "face.png")

# Two nets for 24 x 24 faces. The first subtracts the mean image; the second normalizes each face by itself, has
# BatchNorm, and a layer that is large enough (4,096 weights) for half precision.
TINY_TRAIN = """name: "Tiny"
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN }
  transform_param { mirror: true crop_size: 20 scale: 0.015625 mean_file: "mean.binaryproto" }
  data_param { source: "train_lmdb" batch_size: 14 backend: LMDB } }
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TEST }
  transform_param { crop_size: 20 scale: 0.015625 mean_file: "mean.binaryproto" }
  data_param { source: "val_lmdb" batch_size: 14 backend: LMDB } }
"""
TINY_BODY = """
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 8 kernel_size: 5 stride: 2 weight_filler { type: "msra" } } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"
  pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { name: "conv2" type: "Convolution" bottom: "pool1" top: "conv2"
  convolution_param { num_output: 12 kernel_size: 3 weight_filler { type: "msra" } } }
layer { name: "relu2" type: "ReLU" bottom: "conv2" top: "conv2" }
layer { name: "drop" type: "Dropout" bottom: "conv2" top: "conv2" dropout_param { dropout_ratio: 0.1 } }
layer { name: "score" type: "InnerProduct" bottom: "conv2" top: "score"
  inner_product_param { num_output: 7 weight_filler { type: "xavier" } } }
"""
NORMAL_TRAIN = """name: "Normal"
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN }
  transform_param { mirror: true crop_size: 20 per_picture_normalization: true }
  data_param { source: "train_lmdb" batch_size: 14 backend: LMDB } }
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TEST }
  transform_param { crop_size: 20 per_picture_normalization: true }
  data_param { source: "val_lmdb" batch_size: 14 backend: LMDB } }
"""
NORMAL_BODY = """
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 16 kernel_size: 5 stride: 2 bias_term: false weight_filler { type: "msra" } } }
layer { name: "norm1" type: "BatchNorm" bottom: "conv1" top: "conv1" }
layer { name: "scale1" type: "Scale" bottom: "conv1" top: "conv1" scale_param { bias_term: true } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"
  pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { name: "fc1" type: "InnerProduct" bottom: "pool1" top: "fc1"
  inner_product_param { num_output: 16 weight_filler { type: "msra" } } }
layer { name: "relu2" type: "ReLU" bottom: "fc1" top: "fc1" }
layer { name: "score" type: "InnerProduct" bottom: "fc1" top: "score"
  inner_product_param { num_output: 7 weight_filler { type: "xavier" } } }
"""
TRAIN_END = """
layer { name: "accuracy" type: "Accuracy" bottom: "score" bottom: "label" top: "accuracy" include { phase: TEST } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss" }
"""
DEPLOY_BEGIN = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 1 dim: 20 dim: 20 } } }
"""
DEPLOY_END = 'layer { name: "prob" type: "Softmax" bottom: "score" top: "prob" }\n'
# display: 1, so that a training can be interrupted after any iteration.
SOLVER = """net: "train_val.prototxt"
type: "SGD" base_lr: 0.02 lr_policy: "fixed" max_iter: 100 momentum: 0.9 weight_decay: 0.0005 display: 1
"""

SAME = ["--precision", "float32", "--device", "cpu"]
TINY = ["--model", "nets/tiny", "--data", "data/faces", *SAME]
# Every run with its options, and the iteration after which a second one of the same options is interrupted.
RUNS: dict[str, tuple[list[str], int | None]] = {
    "cosine": (
        [
            *TINY, "--seed", "3", "--epochs", "24", "--base-lr", "0.1",
            "--policy", "cosine", "--cycles", "2", "--warmup", "0.5", "--min-lr", "0.001",
            "--optimizer", "nesterov", "--momentum", "0.8", "--weight-decay", "0.001", "--clip", "3", "--ema", "0.9",
            "--label-smoothing", "0.05", "--class-weights", "inverse-root",
            "--mixup", "0.1", "--cutmix", "0.1", "--mix-until", "0.5",
            "--mirror", "--rotation", "3", "--zoom", "0.05", "--shift", "0.02", "--shear", "2",
            "--brightness", "0.1", "--contrast", "0.1", "--erasing", "0.1",
            "--early-stop", "20", "--monitor", "accuracy", "--min-delta", "0.001", "--keep-every", "9",
            "--solver", "average_loss: 2",
        ],
        173,
    ),
    "plain": (
        [
            "--model", "nets/normal", "--data", "data/plain", *SAME, "--epochs", "80", "--batch", "20",
            "--base-lr", "0.004", "--optimizer", "adamw", "--policy", "plateau", "--plateau-patience", "4",
            "--plateau-factor", "0.5", "--early-stop", "9", "--monitor", "loss", "--min-delta", "0.03",
        ],
        157,
    ),
    "taught": (
        [
            *TINY, "--seed", "1", "--epochs", "16", "--base-lr", "0.05", "--policy", "multistep", "--erasing", "0.1",
            "--teacher", "runs/cosine", "--teacher", "runs/plain", "--teacher-data", "data/plain",
            "--teacher-sees", "faces", "--teacher-weight", "0.7", "--temperature", "3",
        ],
        110,
    ),
    "watched": (
        [
            *TINY, "--seed", "2", "--epochs", "12", "--base-lr", "0.05", "--mixup", "0.2",
            "--policy", "poly", "--warmup", "1",
            "--teacher", "runs/cosine", "--teacher-sees", "batches", "--temperature", "1.5",
        ],
        85,
    ),
    "tuned": (
        [
            *TINY, "--epochs", "6", "--base-lr", "0.02", "--init", "runs/cosine",
            "--train-on", "train+val", "--ema", "0.8", "--keep-every", "3",
        ],
        45,
    ),
    "votes": (
        [
            "--model", "nets/tiny", "--data", "data/ferplus", *SAME, "--epochs", "10",
            "--init", "runs/tuned", "--fresh-classifier", "--soft-labels", "cross-entropy", "--clip", "5",
        ],
        None,
    ),
    "joined": (["--model", "nets/tiny", "--data", "data/joined", *SAME, "--epochs", "5"], None),
}  # fmt: skip

# What the runs have on record when they are packed.
ON_RECORD = [
    ["evaluate", "runs/cosine", "--data", "data/faces"],
    ["evaluate", "runs/cosine", "--data", "data/faces", "--split", "test", "--tta", "4"],
    ["evaluate", "runs/cosine", "--data", "data/faces", "--split", "test", "--tta", "10"],
    ["evaluate", "runs/cosine", "--data", "data/faces", "--split", "train", "--explain-78"],
    ["evaluate", "runs/cosine", "--data", "data/faces", "--classes", "merged"],
    ["evaluate", "runs/cosine", "runs/plain", "--data", "data/faces", "--data", "data/plain", "--fit-weights"],
    ["evaluate", "runs/plain", "--data", "data/plain"],
    ["evaluate", "runs/plain", "--data", "data/faces"],
    ["evaluate", "runs/tuned", "--data", "data/faces"],
]
# What a later version has to answer in the same way.
ASKED = [
    *(["inspect", f"data/{name}", "--verify"] for name in ("faces", "dropped", "plain", "joined", "ferplus")),
    *(["inspect", f"runs/{name}", "--verify"] for name in (*RUNS, "cosine-cut", "taught-cut")),
    ["inspect", "runs/cosine/best.safetensors", "--verify"],
    ["inspect", "runs/tuned/last.safetensors"],
    ["inspect", "models/half.safetensors", "--verify"],
    *ON_RECORD,
    ["evaluate", "runs/cosine/kept", "--data", "data/faces"],
    ["evaluate", "models/half.safetensors", "--data", "data/plain", "--split", "test", "--tta", "2"],
    ["evaluate", "runs/taught", "--data", "data/faces", "--compare", "runs/watched"],
    ["evaluate", "runs/cosine", "runs/taught", "--data", "data/faces", "--weights", "2,1"],
    ["evaluate", "runs/tuned", "--data", "data/joined"],
    ["evaluate", "runs/joined", "--data", "data/joined", "--split", "test"],
    ["evaluate", "runs/votes", "--data", "data/ferplus"],
    ["evaluate", "runs/votes", "--data", "data/ferplus", "--split", "test"],
    ["predict", "face.png", "--model", "runs/cosine"],
    ["predict", "face.png", "--model", "models/half.safetensors", "--top", "2", "--tta", "2"],
    ["report", "runs/cosine", "--out", "report"],
    ["report", "data/faces", "--out", "report"],
    ["export", "runs/cosine", "--out", "caffe"],
    ["export", "runs/plain", "--format", "safetensors", "--out", "again.safetensors"],
]


def main(folder: Path) -> None:
    """Make everything and write the two archives."""
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    write_nets()
    build_data_sets()
    for name, (options, stop) in RUNS.items():
        run(["train", "--run", f"runs/{name}", *options])
        if stop is not None:
            interrupt(["train", "--run", f"runs/{name}-cut", *options], stop)
    for command in ON_RECORD:
        run(command)
    run(["export", "runs/plain", "--format", "safetensors", "--out", "models/half.safetensors"])
    write_picture()
    for path in Path("runs").glob("*/tensorboard"):
        shutil.rmtree(path)  # large, and read by nobody but TensorBoard
    for path in Path().rglob("*lock*"):
        path.unlink()
    pack(HERE / "material.tar.xz")
    margins: list[float] = []
    watch_margins(margins)
    answers = [{"command": command, "answer": run(command)} for command in ASKED]
    assert min(margins) > 1e-4, f"a face is on a knife's edge, {min(margins):.2g}: other machines may decide otherwise"
    document = {"answers": answers, "interrupted": [name for name, (_, stop) in RUNS.items() if stop is not None]}
    (HERE / "expected.json.xz").write_bytes(lzma.compress(json.dumps(document, indent=1).encode(), preset=9))


def write_nets() -> None:
    """Write folders like those of the zoo."""
    for name, begin, body in (("tiny", TINY_TRAIN, TINY_BODY), ("normal", NORMAL_TRAIN, NORMAL_BODY)):
        net = Path("nets") / name
        net.mkdir(parents=True)
        title = begin.partition("\n")[0]
        (net / "train_val.prototxt").write_text(begin + body + TRAIN_END)
        (net / "deploy.prototxt").write_text(title + DEPLOY_BEGIN + body + DEPLOY_END)
        (net / "solver.prototxt").write_text(SOLVER)


def build_data_sets() -> None:
    """Build from drawn faces, some pictures without a face and some rows that cannot be used."""
    write_drawn_csv("drawn.csv", 112, 35, 35, seed=5)
    lines = Path("drawn.csv").read_text().splitlines()
    flat = " ".join(["128"] * 48 * 48)
    lines += [f"{label},{flat},{usage}" for usage in ("Training", "PublicTest", "PrivateTest") for label in (2, 6)]
    bad = ["7," + flat + ",Training", "3,1 2 3,PublicTest", "3," + flat.replace("128", "300", 1) + ",Training"]
    Path("faces.csv").write_text("\n".join([*lines, *bad]) + "\n")
    write_votes(Path("votes.csv"), [*lines[1:], *bad])
    small = ["--size", "24", "--min-face", "20"]
    run(["build", "faces.csv", "--out", "data/faces", "--skip-bad", *small])
    run(["build", "faces.csv", "--out", "data/plain", "--skip-bad", "--detector", "none", "--encode", "png",
         "--shards", "2", *small])  # fmt: skip
    run(["build", "faces.csv", "--out", "data/dropped", "--skip-bad", "--detector", "haar", "--on-miss", "drop",
         "--align", "box", "--margin", "0.1", "--fill", "black", "--classes", "without-disgust", *small])  # fmt: skip
    run(["build", "faces.csv", "--out", "data/ferplus", "--skip-bad", "--classes", "ferplus",
         "--ferplus", "votes.csv", *small])  # fmt: skip
    run(["join", "data/faces", "data/plain", "--train-only", "--out", "data/joined"])


def write_votes(path: Path, rows: list[str]) -> None:
    """Ten votes a face, most of them for its label; nobody sees a face in the first row of every forty."""
    answers = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "NF")
    place_of_label = (4, 5, 6, 1, 3, 2, 0, 8)
    random = np.random.default_rng(4)
    lines = ["Usage,Image name," + ",".join(answers)]
    for number, row in enumerate(rows):
        votes = np.zeros(10, int)
        if number % 40 == 0:
            votes[9] = 10
        else:
            votes[place_of_label[int(row[0])]] = 7
            np.add.at(votes, random.integers(0, 10, 3), 1)
        name = "" if number % 40 == 0 else f"fer{number:07d}.png"
        lines.append(",".join([row.rpartition(",")[2], name, *map(str, votes)]))
    path.write_text("\n".join(lines) + "\n")


def write_picture() -> None:
    """Write the picture that is predicted."""
    picture, _ = draw_face("happy", np.random.default_rng(11), side=96)
    cv2.imwrite("face.png", picture)


def run(command: list[str]) -> list[dict[str, object]]:
    """Run a command; return what it printed, a JSON document a line or a single one."""
    with redirect_stdout(io.StringIO()) as printed:
        cli.main([*command, "--json"], standalone_mode=False)
    text = printed.getvalue()
    try:
        return [json.loads(text)]
    except ValueError:
        return [json.loads(line) for line in text.splitlines()]


def interrupt(command: list[str], iteration: int) -> None:
    """Train until that iteration is done, then press Ctrl-C."""
    show = _Display.show

    def shown(self: _Display, progress: object) -> None:
        show(self, progress)
        if progress.iteration == iteration and progress.record is None:
            os.kill(os.getpid(), signal.SIGINT)

    _Display.show = shown
    try:
        assert not run(command)[0]["finished"]
    finally:
        _Display.show = show


def watch_margins(margins: list[float]) -> None:
    """Note for every evaluated face by how much its first class is ahead of its second."""
    figures_of = evaluation.figures_of

    def watched(names, members, probabilities, *others):
        ordered = np.sort(probabilities, axis=1)
        margins.extend((ordered[:, -1] - ordered[:, -2]).tolist())
        return figures_of(names, members, probabilities, *others)

    evaluation.figures_of = watched


def pack(archive: Path) -> None:
    """Pack the material, without owners and times."""

    def plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = entry.mtime = 0
        entry.uname = entry.gname = ""
        return entry

    with tarfile.open(archive, "w:xz", preset=9) as tar:
        for path in PACKED:
            tar.add(path, filter=plain)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
