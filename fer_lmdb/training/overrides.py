"""How training options override the solver and the TRAIN transform."""

from __future__ import annotations

import math
from fractions import Fraction

import prototxt_like as pl
from fer_lmdb.choices import DISTILL_MODES, OPTIMIZERS
from fer_lmdb.errors import RunError
from fer_lmdb.ranges import MAX_INT32, NON_NEGATIVE
from fer_lmdb.training.options import TrainOptions
from prototxt_like.errors import PrototxtLikeError

MULTISTEP_FRACTIONS = (0.60, 0.85)
"""Points of a training run at which a multistep learning rate drops."""

SOLVER_FIELDS = {
    "base_lr": "base_lr",
    "lr_policy": "lr_policy",
    "min_lr": "min_lr",
    "cosine_cycles": "cosine_cycles",
    "plateau_patience": "plateau_patience",
    "plateau_factor": "plateau_factor",
    "momentum": "momentum",
    "weight_decay": "weight_decay",
    "clip_gradients": "clip_gradients",
    "ema_decay": "ema_decay",
    "label_smoothing": "label_smoothing",
    "soft_labels": "soft_labels",
    "mixup": "mixup",
    "cutmix": "cutmix",
    "mix_until": "mix_until",
    "distill_weight": "teacher_weight",
    "distill_temperature": "temperature",
    "early_stop_patience": "early_stop_patience",
    "monitor": "monitor",
    "min_delta": "min_delta",
}
"""Option -> solver field."""

TRANSFORM_FIELDS = {
    "mirror": "mirror",
    "rotation": "rotation",
    "zoom": "zoom",
    "shift": "shift",
    "shear": "shear",
    "brightness": "brightness",
    "contrast": "contrast",
    "random_erasing": "erasing",
}
"""Option -> field of the TRAIN transform_param."""


def apply_options(
    options: TrainOptions, solver: pl.SolverParameter, transform: pl.TransformationParameter, epoch_iterations: Fraction
) -> None:
    """Override fields of a solver and of the TRAIN transform.

    Args:
        options: Training options.
        solver: Solver, changed in place.
        transform: TRAIN transform, changed in place.
        epoch_iterations: Iterations per epoch; options in epochs are multiplied by it.
    Raises:
        RunError: If the class weights cannot be parsed.
    """
    _set_fields(options, solver, SOLVER_FIELDS)
    _set_fields(options, transform, TRANSFORM_FIELDS)
    if options.optimizer is not None:
        _set_optimizer(solver, options)
    if options.class_weights is not None:
        _set_class_weights(solver, options.class_weights)
    if options.teachers:
        solver.teacher[:] = options.teachers
    if options.teacher_data:
        solver.teacher_data[:] = options.teacher_data
    if options.distill_mode is not None:
        solver.teacher_sees = DISTILL_MODES[options.distill_mode]
    if options.warmup_epochs is not None:
        solver.warmup_iter = _iterations("--warmup-epochs", options.warmup_epochs * float(epoch_iterations))
    if options.save_every is not None:
        solver.keep_every = max(1, _iterations("--save-every", options.save_every * float(epoch_iterations)))


def _set_fields(
    options: TrainOptions, message: pl.SolverParameter | pl.TransformationParameter, fields: dict[str, str]
) -> None:
    for name, field in fields.items():
        value = getattr(options, name)
        if value is not None:
            setattr(message, field, value)


def set_schedule(solver: pl.SolverParameter, options: TrainOptions, epoch_iterations: Fraction) -> None:
    """Set the number of iterations, and the drops of a multistep learning rate at 60 % and 85 % of them.

    The stepvalues of the solver file are used unless --epochs changes the length.
    """
    if options.epochs is not None:
        solver.max_iter = _iterations("--epochs", math.ceil(options.epochs * epoch_iterations))
    if solver.lr_policy == "multistep" and (options.epochs is not None or not solver.stepvalue):
        solver.stepvalue[:] = [round(fraction * solver.max_iter) for fraction in MULTISTEP_FRACTIONS]
        if not solver.gamma:
            solver.gamma = 0.1
    if solver.lr_policy == "poly" and not solver.HasField("power"):
        solver.power = 1.0


def _iterations(option: str, count: float) -> int:
    """Return a number of iterations as an integer of the solver's 32 bits."""
    if count > MAX_INT32:
        raise RunError(f"{option}: found {count:.3g} iterations, expected at most {MAX_INT32}; pass fewer epochs")
    return round(count)


def merge_solver_text(solver: pl.SolverParameter, text: str) -> None:
    """Override the fields given as prototxt; repeated fields are replaced, not extended.

    Raises:
        RunError: If the text is not valid solver prototxt.
    """
    try:
        fields = pl.parse_solver(text)
    except PrototxtLikeError as error:
        raise RunError(f"--solver-text: {error}") from error
    for field, _ in fields.ListFields():
        solver.ClearField(field.name)
    solver.MergeFrom(fields)


def _set_optimizer(solver: pl.SolverParameter, options: TrainOptions) -> None:
    """Set the update rule and clear fields that only other rules read."""
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
            numbers = [float(number) for number in text.split(",")]
            if not all(number in NON_NEGATIVE for number in numbers):
                raise ValueError("not a weight")
            solver.class_weight[:] = numbers
        except ValueError:
            raise RunError(
                f'--class-weights "{text}": expected inverse, inverse-root, none or one number per class, '
                "e.g. 1,2.5,1,1,1,1,1"
            ) from None
