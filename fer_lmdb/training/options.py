"""Training options, and the checks that need neither the net nor the data set.

Most options override one field of solver.prototxt or of the TRAIN transform_param; None keeps the value of the file.
docs/recipes.md describes each of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from fer_lmdb.choices import DISTILL_MODES, LR_POLICIES, OPTIMIZERS, TRAIN_SPLITS
from fer_lmdb.errors import RunError

"""Distillation mode -> value of the solver field teacher_sees."""


@dataclass(frozen=True)
class TrainOptions:
    """Options of a training run; None keeps the setting of the net's own recipe.

    Every value can be stored as JSON. The fields are the options of `fer-lmdb train` under the same names;
    `teachers` is --teacher.

    Attributes:
        model: Zoo net, or a folder with train_val.prototxt, deploy.prototxt and solver.prototxt.
        data: Folder of the data set.
        seed: Seed of weights, order, augmentation and dropout; None uses the solver's random_seed, or 0.
        init: Model or .caffemodel to initialize from.
        train_splits: "train" or "train+val".
        precision: "auto", "bfloat16" or "float32".
        device: "auto", "cpu", "cuda", "cuda:1", ...
        warmup_epochs: Length of the linear warmup in epochs.
        save_every: Epochs between two saved checkpoints; fractions are allowed.
        solver_text: Any other solver fields as prototxt.
    """

    model: str = "face_emotion_net"
    data: str = "data/fer2013"
    seed: int | None = None
    init: str | None = None
    reset_classifier: bool = False
    widen: bool = False
    train_splits: str = "train"
    precision: str = "auto"
    device: str = "auto"
    epochs: int | None = None
    batch_size: int | None = None
    base_lr: float | None = None
    lr_policy: str | None = None
    warmup_epochs: float | None = None
    min_lr: float | None = None
    cosine_cycles: int | None = None
    plateau_patience: int | None = None
    plateau_factor: float | None = None
    optimizer: str | None = None
    momentum: float | None = None
    weight_decay: float | None = None
    clip_gradients: float | None = None
    ema_decay: float | None = None
    label_smoothing: float | None = None
    soft_labels: str | None = None
    class_weights: str | None = None
    mixup: float | None = None
    cutmix: float | None = None
    mix_until: float | None = None
    teachers: list[str] | None = None
    distill_weight: float | None = None
    distill_temperature: float | None = None
    distill_mode: str | None = None
    teacher_data: list[str] | None = None
    mirror: bool | None = None
    rotation: float | None = None
    zoom: float | None = None
    shift: float | None = None
    shear: float | None = None
    brightness: float | None = None
    contrast: float | None = None
    random_erasing: float | None = None
    early_stop_patience: int | None = None
    monitor: str | None = None
    min_delta: float | None = None
    save_every: float | None = None
    solver_text: str | None = None

    @property
    def splits(self) -> list[str]:
        """Names of the training splits."""
        return self.train_splits.split("+")


Check = tuple[Callable[[float], bool], str]
POSITIVE: Check = (lambda value: value > 0, "above 0")
NON_NEGATIVE: Check = (lambda value: value >= 0, "0 or more")
BELOW_1: Check = (lambda value: 0 <= value < 1, "at least 0 and less than 1")
OPEN_UNIT_INTERVAL: Check = (lambda value: 0 < value < 1, "between 0 and 1")
RANGES: dict[str, Check] = {
    "epochs": POSITIVE,
    "batch_size": POSITIVE,
    "base_lr": POSITIVE,
    "cosine_cycles": POSITIVE,
    "plateau_patience": POSITIVE,
    "clip_gradients": POSITIVE,
    "save_every": POSITIVE,
    "warmup_epochs": NON_NEGATIVE,
    "min_lr": NON_NEGATIVE,
    "weight_decay": NON_NEGATIVE,
    "early_stop_patience": NON_NEGATIVE,
    "min_delta": NON_NEGATIVE,
    "mixup": NON_NEGATIVE,
    "cutmix": NON_NEGATIVE,
    "momentum": BELOW_1,
    "ema_decay": BELOW_1,
    "label_smoothing": BELOW_1,
    "plateau_factor": OPEN_UNIT_INTERVAL,
}
CHOICES: dict[str, tuple[str, ...]] = {
    "train_splits": TRAIN_SPLITS,
    "lr_policy": LR_POLICIES,
    "optimizer": tuple(OPTIMIZERS),
    "distill_mode": tuple(DISTILL_MODES),
}


def flag_of(name: str) -> str:
    """Return the command-line option of a field, e.g. --base-lr for base_lr."""
    return "--" + name.replace("_", "-")


def validate_options(options: TrainOptions) -> None:
    """Check ranges, choices and options that require another one.

    Raises:
        RunError: If an option is invalid; the message names its command-line option.
    """
    for name in ("reset_classifier", "widen"):
        if getattr(options, name) and options.init is None:
            raise RunError(f"{flag_of(name)} requires initial weights; add --init MODEL")
    for name, (holds, text) in RANGES.items():
        value = getattr(options, name)
        if value is not None and not (math.isfinite(value) and holds(value)):
            raise RunError(f"{flag_of(name)} {value}: must be {text}")
    for name, known in CHOICES.items():
        value = getattr(options, name)
        if value is not None and value not in known:
            more = "; set other policies with --solver-text" if name == "lr_policy" else ""
            raise RunError(f'{flag_of(name)} "{value}": expected one of {", ".join(known)}{more}')
