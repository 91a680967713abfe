"""Training options, and the checks that need neither the net nor the data set.

Most options override one field of solver.prototxt or of the TRAIN transform_param; None keeps the value of the file.
docs/recipes.md describes each of them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from fer_lmdb import ranges
from fer_lmdb.choices import (
    DISTILL_MODES,
    LR_POLICIES,
    MONITORS,
    OPTIMIZERS,
    PRECISIONS,
    SOFT_LABEL_MODES,
    TRAIN_SPLITS,
)
from fer_lmdb.errors import RunError
from fer_lmdb.ranges import Range
from fer_lmdb.runtime.device import check_device_name


@dataclass(frozen=True)
class TrainOptions:
    """Options of a training run; None keeps the setting of the net's own recipe.

    Every value can be stored as JSON. The fields are the options of `fer-lmdb train` under the same names;
    `teachers` is --teacher.

    Attributes:
        model: Zoo net, or a folder with train_val.prototxt, deploy.prototxt and solver.prototxt.
        data: Folder of the data set, or of databases that Caffe's tools wrote, see `DataSet.open`; None follows the
            sources of the net in a folder, and uses data/fer2013 for a zoo net.
        labels: Class names of databases without a manifest, see `fer_lmdb.labels.scheme_of`.
        seed: Seed of weights, order, augmentation and dropout; None uses the solver's random_seed, or 0.
        init: Model or .caffemodel to initialize from.
        train_splits: "train" or "train+val".
        precision: "auto", "bfloat16" or "float32".
        device: "auto", "cpu", "cuda", "cuda:1", ...
        warmup_epochs: Length of the linear warmup in epochs.
        save_every: Epochs between two saved checkpoints; fractions are allowed.
        solver_text: Any other solver fields as prototxt.

    Raises:
        RunError: If an option is out of its range; the message names its command-line option.
        DeviceError: If no device can have this name.
    """

    model: str = "face_emotion_net"
    data: str | None = None
    labels: str | None = None
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

    def __post_init__(self) -> None:
        for name in PATHS:  # stored as JSON
            if isinstance(value := getattr(self, name), os.PathLike):
                object.__setattr__(self, name, os.fspath(value))
        validate_options(self)

    @property
    def splits(self) -> list[str]:
        """Names of the training splits."""
        return self.train_splits.split("+")


PATHS = ("model", "data", "labels", "init")
LISTS = ("teachers", "teacher_data")
LARGE = ranges.Range(1, 1_000_000, integer=True)
RANGES: dict[str, Range] = {
    "seed": ranges.SEED,
    "epochs": LARGE,
    "batch_size": LARGE,
    "cosine_cycles": LARGE,
    "plateau_patience": ranges.COUNT,
    "early_stop_patience": ranges.Range(0, ranges.MAX_INT32, integer=True),
    "base_lr": ranges.POSITIVE,
    "clip_gradients": ranges.POSITIVE,
    "save_every": ranges.POSITIVE,
    "distill_temperature": ranges.POSITIVE,
    "warmup_epochs": ranges.NON_NEGATIVE,
    "min_lr": ranges.NON_NEGATIVE,
    "weight_decay": ranges.NON_NEGATIVE,
    "min_delta": ranges.NON_NEGATIVE,
    "mixup": ranges.NON_NEGATIVE,
    "cutmix": ranges.NON_NEGATIVE,
    "momentum": ranges.BELOW_1,
    "ema_decay": ranges.BELOW_1,
    "label_smoothing": ranges.BELOW_1,
    "zoom": ranges.BELOW_1,
    "shift": ranges.BELOW_1,
    "brightness": ranges.BELOW_1,
    "contrast": ranges.BELOW_1,
    "plateau_factor": ranges.INSIDE_0_1,
    "mix_until": ranges.PROBABILITY,
    "distill_weight": ranges.PROBABILITY,
    "random_erasing": ranges.PROBABILITY,
    "rotation": ranges.DEGREES,
    "shear": ranges.SHEAR,
}
CHOICES: dict[str, tuple[str, ...]] = {
    "precision": PRECISIONS,
    "train_splits": TRAIN_SPLITS,
    "lr_policy": LR_POLICIES,
    "optimizer": tuple(OPTIMIZERS),
    "distill_mode": tuple(DISTILL_MODES),
    "soft_labels": SOFT_LABEL_MODES,
    "monitor": tuple(MONITORS),
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
    for name in (*PATHS, "class_weights", "solver_text"):
        if not isinstance(value := getattr(options, name), str | None) or (value is None and name == "model"):
            raise RunError(f"{flag_of(name)}: found {ranges.shortened(value)}, expected a text; pass another value")
    for name in LISTS:
        value = getattr(options, name)
        if value is not None and not (isinstance(value, list) and all(isinstance(each, str) for each in value)):
            found = ranges.shortened(value)
            raise RunError(f"{flag_of(name)}: found {found}, expected a list of texts; pass another value")
    check_device_name(options.device)
    for name, accepted in RANGES.items():
        if (value := getattr(options, name)) is not None:
            accepted.check(flag_of(name), value, RunError)
    for name, known in CHOICES.items():
        value = getattr(options, name)
        if value is not None and value not in known:
            more = "; set other policies with --solver-text" if name == "lr_policy" else ""
            raise RunError(f'{flag_of(name)} "{value}": expected one of {", ".join(known)}{more}')
