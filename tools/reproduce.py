"""Train shipped models again, each from fer2013.csv, and measure old and new on the validation split.

make reproduce MODEL=fer_mini CSV=data/fer2013.csv

What a model needs is done in order: its data set, its teachers, itself. What is there already is left, and a training
that was interrupted goes on, so the same command can be given again.

Teachers look at every face in four views. Those of the shipped fer_conv12_wide did so, and conv12-wide-0 as a teacher
of fer_mini; all others were asked in ten crops, before that changed.
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
#: How each data set is made, as words of ``fer-lmdb``; another data set's name in braces is its folder.
MAKES = {
    "fer2013": "build {csv}",
    "fer2013-as-is": "build {csv} --detector none",
    "fer2013-arcface": "build {csv} --template arcface --margin -0.08",
    "fer2013-both": "join {fer2013} {fer2013-as-is} --train-only",
    "ferplus": "build {csv} --label-scheme ferplus --ferplus {votes}",
}
OTHER_KINDS = ("fer2013-as-is", "fer2013-arcface")
ALL_KINDS = ("fer2013", *OTHER_KINDS)
TAUGHT = f"--teacher {RUNS}/conv8-0 --teacher {RUNS}/conv8-1 --distill-weight 0.7 --distill-temperature 2"


@dataclass(frozen=True)
class Training:
    """A run.

    Attributes:
        run: its name.
        data: the data set that it learns from.
        options: the other words of ``fer-lmdb train``.
        teacher_data: data sets that its teachers look at.
    """

    run: str
    data: str
    options: str
    teacher_data: tuple[str, ...] = ()


#: The first teacher learnt with stronger augmentation than the zoo asks for.
TEACHERS = (
    Training("conv8-0", "fer2013", "--model fer_conv8 --seed 0 --zoom 0.15 --shift 0.15 --random-erasing 0.4"),
    Training("conv8-1", "fer2013", "--model fer_conv8 --seed 1"),
)
CONV8 = (
    *TEACHERS,
    Training("fer_conv8", "fer2013", f"--model fer_conv8 --seed 2 --epochs 54 --init {RUNS}/conv8-1 {TAUGHT}"),
)
CONV12 = (
    *CONV8,
    Training("conv8-as-is", "fer2013-as-is", "--model fer_conv8 --seed 1"),
    Training(
        "conv8-as-is-taught",
        "fer2013-as-is",
        f"--model fer_conv8 --seed 3 --epochs 28 --base-lr 0.05 --init {RUNS}/fer_conv8 "
        f"--teacher {RUNS}/fer_conv8 --distill-weight 0.7 --distill-temperature 2",
        ("fer2013",),
    ),
    Training(
        "fer_conv12",
        "fer2013-both",
        f"--model fer_conv12 --seed 4 --epochs 22 --init {RUNS}/conv8-as-is-taught --teacher {RUNS}/fer_conv8 "
        f"--teacher {RUNS}/conv8-as-is-taught --teacher {RUNS}/conv8-as-is --teacher face_emotion_net "
        "--distill-weight 0.7 --distill-temperature 2",
        ALL_KINDS,
    ),
)
FIVE = (
    f"--teacher {RUNS}/fer_conv8 --teacher {RUNS}/conv8-as-is-taught --teacher {RUNS}/conv8-as-is "
    f"--teacher face_emotion_net --teacher {RUNS}/fer_conv12 --distill-weight 0.7 --distill-temperature 2"
)
WIDE_0 = (
    *CONV12,
    Training(
        "conv12-wide-0",
        "fer2013-both",
        "--model fer_conv12_wide --seed 6 --epochs 18 --base-lr 0.05 --warmup-epochs 1 "
        f"--init {RUNS}/fer_conv12 --widen {FIVE}",
        ALL_KINDS,
    ),
)
#: The best of them counts twice.
WITH_WIDE = (
    f"--teacher {RUNS}/fer_conv8 --teacher {RUNS}/conv12-wide-0 --teacher {RUNS}/conv12-wide-0 "
    f"--teacher {RUNS}/fer_conv12 --teacher {RUNS}/conv8-as-is-taught --teacher face_emotion_net "
    "--distill-weight 0.7 --distill-temperature 2"
)
MINI = (
    *WIDE_0,
    Training("mini-0", "fer2013", f"--model fer_mini_narrow {TAUGHT}"),
    Training(
        "mini-1",
        "fer2013",
        f"--model fer_mini_narrow --seed 5 --epochs 70 --init {RUNS}/mini-0 {FIVE}",
        OTHER_KINDS,
    ),
    Training(
        "mini-2",
        "fer2013",
        f"--model fer_mini --seed 8 --epochs 68 --warmup-epochs 1 --init {RUNS}/mini-1 --widen {WITH_WIDE}",
        OTHER_KINDS,
    ),
    Training(
        "fer_mini",
        "fer2013",
        f"--model fer_mini --seed 9 --epochs 48 --base-lr 0.05 --warmup-epochs 1 --init {RUNS}/mini-2 {WITH_WIDE}",
        OTHER_KINDS,
    ),
)
WIDE = (
    *MINI,
    Training(
        "fer_conv12_wide",
        "fer2013-both",
        f"--model fer_conv12_wide --seed 7 --epochs 15 --base-lr 0.05 --warmup-epochs 1 --init {RUNS}/conv12-wide-0 "
        f"--teacher {RUNS}/conv12-wide-0 --teacher {RUNS}/conv12-wide-0 --teacher {RUNS}/fer_conv8 "
        f"--teacher {RUNS}/fer_mini --teacher face_emotion_net --distill-weight 0.7 --distill-temperature 2",
        ALL_KINDS,
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
    """Yield what makes a data set that is not there yet, after the data sets that it is made of."""
    if name in made or (DATA / name / "manifest.json").exists():
        return
    words = MAKES[name].split()
    for part in (word[1:-1] for word in words if word.startswith("{")):
        if part in MAKES:
            yield from make(part, known, made)
    made.add(name)
    yield [*(word.format_map(known) for word in words), "--out", str(DATA / name)]


def train(training: Training) -> list[str]:
    """Return the words that begin a training, or that go on with it (which ends at once where it is done)."""
    folder = RUNS / training.run
    if (folder / "run.json").exists():
        return ["train", "--resume", "--run", str(folder)]
    looks = [word for name in training.teacher_data for word in ("--teacher-data", str(DATA / name))]
    return ["train", *training.options.split(), "--data", str(DATA / training.data), *looks, "--run", str(folder)]


def run(words: list[str]) -> int:
    """Run a command and return its exit status; after Ctrl-C, which it gets as well, wait until it has saved."""
    process = subprocess.Popen([sys.executable, "-m", "fer_lmdb", *words])
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.wait()
        return INTERRUPTED


def main() -> int:
    """Run the commands one after the other, up to the first that fails or is interrupted."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", nargs="+", choices=sorted(RECIPES))
    parser.add_argument("--csv", default="data/fer2013.csv")
    parser.add_argument("--votes", default="data/fer2013new.csv", help="FER+'s votes, for models that learn from them")
    parser.add_argument("--show", action="store_true", help="print the commands and run none")
    wish = parser.parse_args()
    for model in wish.model:
        for words in commands(model, wish.csv, wish.votes):
            print("fer-lmdb", *words, flush=True)
            if not wish.show and (code := run(words)):
                return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
