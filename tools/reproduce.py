"""Reproduce pretrained models from fer2013.csv, and evaluate old and new on the validation split.

make reproduce MODEL=fer_mini CSV=data/fer2013.csv

The steps of a model run in order: data sets, teachers, the model. Finished steps are skipped and an interrupted run is
resumed, so the same command can be repeated.

Teachers are run with four TTA views; those of the published fer_conv8 were run with ten crops, the default at that
time. The published fer_conv12_wide and fer_mini were trained by a prototype on a GPU, see docs/experiments.md; their
steps are that recipe for `fer-lmdb train`, which softens the student at the temperature as well. On a CPU they take
weeks.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

INTERRUPTED = 130
RUNS = Path("runs") / "reproduced"
DATA = Path("data") / "reproduced"
#: Arguments of ``fer-lmdb`` that create each data set; a name in braces is the folder of another data set.
MAKES = {
    "fer2013": "build {csv}",
    "fer2013-as-is": "build {csv} --detector none",
    "fer2013-arcface": "build {csv} --template arcface --margin -0.08",
    "fer2013-both": "join {fer2013} {fer2013-as-is} --train-only",
    "ferplus": "build {csv} --label-scheme ferplus --ferplus {votes}",
}
DISTILLED = f"--teacher {RUNS}/conv8-0 --teacher {RUNS}/conv8-1 --distill-weight 0.7 --distill-temperature 2"


@dataclass(frozen=True)
class Training:
    """Training run.

    Attributes:
        run: Name.
        data: Name of the data set.
        options: Further arguments of ``fer-lmdb train``.
        teacher_data: Names of the data sets with the teachers' preprocessing.
    """

    run: str
    data: str
    options: str
    teacher_data: tuple[str, ...] = ()


#: The first teacher has stronger augmentation than the zoo's recipe.
TEACHERS = (
    Training("conv8-0", "fer2013", "--model fer_conv8 --seed 0 --zoom 0.15 --shift 0.15 --random-erasing 0.4"),
    Training("conv8-1", "fer2013", "--model fer_conv8 --seed 1"),
)
CONV8 = (
    *TEACHERS,
    Training("fer_conv8", "fer2013", f"--model fer_conv8 --seed 2 --epochs 54 --init {RUNS}/conv8-1 {DISTILLED}"),
)
#: Fresh nets without teachers, on every face twice; the students after them reach the accuracy of the four together.
FRESH = "--batch-size 256 --optimizer nesterov --lr-policy cosine --weight-decay 0.0005 --ema-decay 0.999"
STRONG = "--mixup 0.2 --mix-until 0.85 --rotation 15 --zoom 0.15 --shift 0.1 --random-erasing 0.3"
FOUR = (
    Training(
        "conv12-wide-101",
        "fer2013-both",
        f"--model fer_conv12_wide --seed 101 --epochs 55 --base-lr 0.14 --warmup-epochs 2.2 {FRESH}",
    ),
    Training(
        "resnet-201",
        "fer2013-both",
        f"--model fer_resnet --seed 201 --epochs 47 --base-lr 0.14 --warmup-epochs 1.9 {FRESH} {STRONG}",
    ),
    Training(
        "conv12-wide-102",
        "fer2013-both",
        f"--model fer_conv12_wide --seed 102 --epochs 62 --base-lr 0.14 --warmup-epochs 2.5 {FRESH} {STRONG}",
    ),
    Training(
        "resnet-202",
        "fer2013-both",
        f"--model fer_resnet --seed 202 --epochs 42 --base-lr 0.14 --warmup-epochs 1.7 {FRESH} "
        "--rotation 12 --zoom 0.1 --shift 0.08 --random-erasing 0.4",
    ),
)
BY_FOUR = (
    f"--teacher {RUNS}/conv12-wide-101 --teacher {RUNS}/resnet-201 --teacher {RUNS}/conv12-wide-102 "
    f"--teacher {RUNS}/resnet-202 --distill-weight 0.75 --distill-temperature 1.5 --label-smoothing 0"
)
WIDE = (
    *FOUR,
    Training(
        "fer_conv12_wide",
        "fer2013-both",
        f"--model fer_conv12_wide --seed 301 --epochs 61 --base-lr 0.05 --warmup-epochs 2.5 {FRESH} "
        f"--init {RUNS}/conv12-wide-101 {BY_FOUR}",
    ),
)
MINI = (
    *FOUR,
    Training(
        "fer_mini",
        "fer2013-both",
        f"--model fer_mini --seed 302 --epochs 125 --base-lr 0.14 --warmup-epochs 5 {FRESH} {BY_FOUR}",
    ),
)
#: What leads to a model; the last training is the model's own.
RECIPES = {
    "face_emotion_net": (Training("face_emotion_net", "fer2013-arcface", "--model face_emotion_net --epochs 150"),),
    "fer_conv8": CONV8,
    "fer_conv12_wide": WIDE,
    "fer_mini": MINI,
    "fer_conv8_ferplus": (
        TEACHERS[1],
        Training(
            "fer_conv8_ferplus",
            "ferplus",
            f"--model fer_conv8 --init {RUNS}/conv8-1 --reset-classifier --epochs 14 --base-lr 0.05 "
            "--soft-labels cross-entropy --label-smoothing 0",
        ),
    ),
}


def commands(model: str, csv: str, votes: str) -> Iterator[list[str]]:
    """Yield what is still to do for a model, as the words after ``fer-lmdb``."""
    known = {"csv": csv, "votes": votes} | {name: str(DATA / name) for name in MAKES}
    made: set[str] = set()
    for training in RECIPES[model]:
        for name in (training.data, *training.teacher_data):
            yield from make(name, known, made)
        yield train(training)
    for subject in (str(RUNS / training.run), model):
        yield ["evaluate", subject, "--data", str(DATA / training.data), "--tta", "4"]


def make(name: str, known: dict[str, str], made: set[str]) -> Iterator[list[str]]:
    """Yield the command that creates a missing data set, after those of its sources."""
    if name in made or (DATA / name / "manifest.json").exists():
        return
    words = MAKES[name].split()
    for part in (word[1:-1] for word in words if word.startswith("{")):
        if part in MAKES:
            yield from make(part, known, made)
    made.add(name)
    yield [*(word.format_map(known) for word in words), "--out", str(DATA / name)]


def train(training: Training) -> list[str]:
    """Return the arguments that start or resume a run; resuming a finished run has no effect."""
    folder = RUNS / training.run
    if (folder / "run.json").exists():
        return ["train", "--resume", "--run", str(folder)]
    variants = [word for name in training.teacher_data for word in ("--teacher-data", str(DATA / name))]
    return ["train", *training.options.split(), "--data", str(DATA / training.data), *variants, "--run", str(folder)]


def run(words: list[str]) -> int:
    """Run a command and return its exit status; after Ctrl-C, wait until the command has saved."""
    process = subprocess.Popen([sys.executable, "-m", "fer_lmdb", *words])
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.wait()
        return INTERRUPTED


def main() -> int:
    """Run the commands up to the first that fails or is interrupted."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", nargs="+", choices=sorted(RECIPES))
    parser.add_argument("--csv", default="data/fer2013.csv")
    parser.add_argument("--votes", default="data/fer2013new.csv", help="FER+'s votes, for models trained on them")
    parser.add_argument("--show", action="store_true", help="print the commands without running them")
    options = parser.parse_args()
    for model in options.model:
        for words in commands(model, options.csv, options.votes):
            print("fer-lmdb", *words, flush=True)
            if not options.show and (code := run(words)):
                return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
