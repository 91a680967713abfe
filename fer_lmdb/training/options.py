"""What the user asks of a training, and how it changes the net's own recipe.

Every wish is a field of solver.prototxt or of the TRAIN transform_param under a shorter name; None leaves it to the
files of the net. docs/recipes.md tells what each does.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import prototxt_like as pl
from fer_lmdb.errors import RunError
from prototxt_like.errors import PrototxtLikeError

# Where a multistep rate falls, as fractions of the training.
MULTISTEP_FRACTIONS = (0.60, 0.85)
LR_POLICIES = ("fixed", "multistep", "cosine", "plateau", "poly")
OPTIMIZERS = {
    "sgd": "SGD",
    "nesterov": "Nesterov",
    "adam": "Adam",
    "adamw": "AdamW",
    "adagrad": "AdaGrad",
    "rmsprop": "RMSProp",
    "adadelta": "AdaDelta",
}
TRAIN_ON = ("train", "train+val")


@dataclass(frozen=True)
class TrainOptions:
    """What the user asked for; None leaves it to the net's own recipe. Values are such as JSON can hold."""

    model: str = "face_emotion_net"
    data: str = "data/fer2013"
    seed: int = 0
    init: str | None = None
    fresh_classifier: bool = False
    widen: bool = False
    train_on: str = "train"
    precision: str = "auto"
    device: str = "auto"
    # length and rate; warm-up in epochs
    epochs: int | None = None
    batch_size: int | None = None
    base_lr: float | None = None
    policy: str | None = None
    warmup: float | None = None
    min_lr: float | None = None
    cycles: int | None = None
    plateau_patience: int | None = None
    plateau_factor: float | None = None
    # updates
    optimizer: str | None = None
    momentum: float | None = None
    weight_decay: float | None = None
    clip: float | None = None
    ema: float | None = None
    # what the loss compares with
    label_smoothing: float | None = None
    soft_labels: str | None = None
    class_weights: str | None = None
    mixup: float | None = None
    cutmix: float | None = None
    mix_until: float | None = None
    # teachers
    teachers: list[str] | None = None
    teacher_weight: float | None = None
    temperature: float | None = None
    teacher_sees: str | None = None
    teacher_data: list[str] | None = None
    # augmentation
    mirror: bool | None = None
    rotation: float | None = None
    zoom: float | None = None
    shift: float | None = None
    shear: float | None = None
    brightness: float | None = None
    contrast: float | None = None
    erasing: float | None = None
    # when to stop, and what to keep; keep_every in epochs
    early_stop: int | None = None
    monitor: str | None = None
    min_delta: float | None = None
    keep_every: float | None = None
    # any other field of the solver, as prototxt
    solver: str | None = None


SOLVER_FIELDS = {
    "base_lr": "base_lr",
    "policy": "lr_policy",
    "min_lr": "min_lr",
    "cycles": "cosine_cycles",
    "plateau_patience": "plateau_patience",
    "plateau_factor": "plateau_factor",
    "momentum": "momentum",
    "weight_decay": "weight_decay",
    "clip": "clip_gradients",
    "ema": "ema_decay",
    "label_smoothing": "label_smoothing",
    "soft_labels": "soft_labels",
    "mixup": "mixup",
    "cutmix": "cutmix",
    "mix_until": "mix_until",
    "teacher_weight": "teacher_weight",
    "temperature": "temperature",
    "teacher_sees": "teacher_sees",
    "early_stop": "early_stop_patience",
    "monitor": "monitor",
    "min_delta": "min_delta",
}
TRANSFORM_FIELDS = ("mirror", "rotation", "zoom", "shift", "shear", "brightness", "contrast", "erasing")

Check = tuple[Callable[[float], bool], str]
POSITIVE: Check = (lambda value: value > 0, "above 0")
NON_NEGATIVE: Check = (lambda value: value >= 0, "0 or more")
BELOW_1: Check = (lambda value: 0 <= value < 1, "at least 0 and less than 1")
OPEN_UNIT_INTERVAL: Check = (lambda value: 0 < value < 1, "between 0 and 1")
RANGES: dict[str, Check] = {
    **dict.fromkeys(("epochs", "batch_size", "base_lr", "cycles", "plateau_patience", "clip", "keep_every"), POSITIVE),
    **dict.fromkeys(("warmup", "min_lr", "weight_decay", "early_stop", "min_delta", "mixup", "cutmix"), NON_NEGATIVE),
    **dict.fromkeys(("momentum", "ema", "label_smoothing"), BELOW_1),
    "plateau_factor": OPEN_UNIT_INTERVAL,
}
FLAGS = {"batch_size": "batch"}


def flag_of(name: str) -> str:
    """Return how a wish is typed: --base-lr for base_lr."""
    return "--" + FLAGS.get(name, name).replace("_", "-")


def validate_options(options: TrainOptions) -> None:
    """Refuse numbers that make no sense.

    Raises:
        RunError: the first of them, by the flag that it was typed with.
    """
    for name in ("fresh_classifier", "widen"):
        if getattr(options, name) and options.init is None:
            raise RunError(f"{flag_of(name)} says how to begin with another model's weights; add --init MODEL")
    if options.train_on not in TRAIN_ON:
        raise RunError(f'--train-on "{options.train_on}": expected {" or ".join(TRAIN_ON)}')
    for name, (holds, text) in RANGES.items():
        value = getattr(options, name)
        if value is not None and not (math.isfinite(value) and holds(value)):
            raise RunError(f"{flag_of(name)} {value}: must be {text}")
    for name, known in (("policy", LR_POLICIES), ("optimizer", tuple(OPTIMIZERS))):
        value = getattr(options, name)
        if value is not None and value not in known:
            raise RunError(f"{flag_of(name)} {value}: there are {', '.join(known)}; others go into the solver file")


def apply_options(
    options: TrainOptions, solver: pl.SolverParameter, transform: pl.TransformationParameter, epoch_iterations: Fraction
) -> None:
    """Change a solver and the transform of the TRAIN phase as the user asked.

    Args:
        options: the wishes.
        solver: changed in place.
        transform: changed in place.
        epoch_iterations: iterations of an epoch; wishes in epochs are multiplied by it.
    Raises:
        RunError: a list of weights cannot be read, or there are faces for teachers and no teacher.
    """
    for name, field in SOLVER_FIELDS.items():
        value = getattr(options, name)
        if value is not None:
            setattr(solver, field, value)
    for name in TRANSFORM_FIELDS:
        value = getattr(options, name)
        if value is not None:
            setattr(transform, name, value)
    if options.optimizer is not None:
        _set_optimizer(solver, options)
    if options.class_weights is not None:
        _set_class_weights(solver, options.class_weights)
    if options.teachers:
        solver.teacher[:] = options.teachers
    if options.teacher_data:
        solver.teacher_data[:] = options.teacher_data
    if solver.teacher_data and not solver.teacher:
        raise RunError(
            f"--teacher-data {solver.teacher_data[0]}: no teacher is named to look at it; add --teacher MODEL"
        )
    if options.warmup is not None:
        solver.warmup_iter = round(options.warmup * float(epoch_iterations))
    if options.keep_every is not None:
        solver.keep_every = max(1, round(options.keep_every * float(epoch_iterations)))


def set_schedule(solver: pl.SolverParameter, options: TrainOptions, epoch_iterations: Fraction) -> None:
    """Set how long the training is, and where a multistep rate falls: at 60 % and 85 % of it.

    Steps that the solver file names stay, unless the length or the policy is the user's.
    """
    if options.epochs is not None:
        solver.max_iter = math.ceil(options.epochs * epoch_iterations)
    if solver.lr_policy == "multistep" and (options.epochs is not None or not solver.stepvalue):
        solver.stepvalue[:] = [round(fraction * solver.max_iter) for fraction in MULTISTEP_FRACTIONS]
        if not solver.gamma:
            solver.gamma = 0.1
    if solver.lr_policy == "poly" and not solver.HasField("power"):
        solver.power = 1.0


def merge_solver_text(solver: pl.SolverParameter, text: str) -> None:
    """Set the fields that a piece of prototxt names; its lists replace the file's.

    Raises:
        RunError: it cannot be read.
    """
    try:
        wish = pl.parse_solver(text)
    except PrototxtLikeError as error:
        raise RunError(f"--solver: {error}") from error
    for field, _ in wish.ListFields():
        solver.ClearField(field.name)
    solver.MergeFrom(wish)


def _set_optimizer(solver: pl.SolverParameter, options: TrainOptions) -> None:
    """Choose the update rule; what belongs to another rule alone goes."""
    assert options.optimizer is not None
    solver.type = OPTIMIZERS[options.optimizer]
    solver.ClearField("solver_type")
    solver.ClearField("decoupled_weight_decay")
    if solver.type in ("AdaGrad", "RMSProp") and options.momentum is None:
        solver.ClearField("momentum")


def _set_class_weights(solver: pl.SolverParameter, text: str) -> None:
    solver.ClearField("class_weighting")
    solver.ClearField("class_weight")
    if text.replace("-", "_") in ("inverse", "inverse_root"):
        solver.class_weighting = text.replace("-", "_")
    elif text != "none":
        try:
            solver.class_weight[:] = [float(number) for number in text.split(",")]
        except ValueError:
            raise RunError(
                f'--class-weights "{text}": expected inverse, inverse-root, none or a number for each class, '
                "as 1,2.5,1,1,1,1,1"
            ) from None
