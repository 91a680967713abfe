"""Learning-rate policies: the learning rate as a pure function of solver parameter and iteration.

Caffe's policies: fixed, step, exp, inv, multistep, poly, sigmoid. Extensions: cosine, plateau, and warm-up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from prototxt_like.errors import SolverError
from prototxt_like.schema.caffe_schema_pb2 import SolverParameter


def learning_rate(parameter: SolverParameter, iteration: int, plateaus: int = 0) -> float:
    """Return the learning rate of an update.

    Args:
        parameter: SolverParameter with lr_policy, base_lr and the fields of the policy. warmup_iter scales the first
            updates.
        iteration: Number of previous updates.
        plateaus: Number of reductions by the policy "plateau"; ignored by other policies.

    Returns:
        Learning rate before lr_mult.

    Raises:
        SolverError: If the policy is unknown, or a required field is missing or invalid.

    Source: BVLC/caffe src/caffe/solvers/sgd_solver.cpp:27-66
    """
    name = parameter.lr_policy
    if name == "plateau":
        lr = _plateau(parameter, plateaus)
    elif name in POLICIES:
        try:
            lr = POLICIES[name](parameter, iteration)
        except (OverflowError, ZeroDivisionError) as error:
            raise SolverError(
                f'lr_policy "{name}" overflows at iteration {iteration}; check gamma, power and stepsize'
            ) from error
    else:
        raise SolverError(f'unknown lr_policy "{name}"; expected one of {", ".join(policy_names())}')
    return lr * warmup_factor(iteration, parameter.warmup_iter)


def policy_names() -> list[str]:
    """Return the names of all supported policies, sorted."""
    return sorted([*POLICIES, "plateau"])


def warmup_factor(iteration: int, warmup_iter: int) -> float:
    """Return the warm-up factor: rises linearly from 1 / warmup_iter to 1 (extension)."""
    return min(1.0, (iteration + 1) / warmup_iter) if warmup_iter > 0 else 1.0


def steps_passed(stepvalues: Sequence[int], iteration: int) -> int:
    """Return the number of "multistep" steps passed at an iteration.

    Caffe passes at most one step per iteration, so equal step values take effect in consecutive iterations.
    Source: BVLC/caffe src/caffe/solvers/sgd_solver.cpp:43-51
    """
    passed_at = -1
    for count, value in enumerate(stepvalues):
        passed_at = max(value, passed_at + 1)
        if passed_at > iteration:
            return count
    return len(stepvalues)


def current_step(parameter: SolverParameter, iteration: int) -> int:
    """Return the step that Caffe's solverstate records after `iteration` updates; 0 for policies without steps."""
    last = iteration - 1
    if last < 0:
        return 0
    if parameter.lr_policy == "multistep":
        return steps_passed(parameter.stepvalue, last)
    return last // parameter.stepsize if parameter.lr_policy == "step" else 0


def _fixed(parameter: SolverParameter, iteration: int) -> float:
    return parameter.base_lr


def _step(parameter: SolverParameter, iteration: int) -> float:
    return parameter.base_lr * _gamma(parameter) ** (iteration // _positive(parameter, "stepsize"))


def _exp(parameter: SolverParameter, iteration: int) -> float:
    return parameter.base_lr * _gamma(parameter) ** iteration


def _inv(parameter: SolverParameter, iteration: int) -> float:
    return parameter.base_lr * (1.0 + _gamma(parameter) * iteration) ** -parameter.power


def _multistep(parameter: SolverParameter, iteration: int) -> float:
    return parameter.base_lr * _gamma(parameter) ** steps_passed(parameter.stepvalue, iteration)


def _poly(parameter: SolverParameter, iteration: int) -> float:
    return parameter.base_lr * max(0.0, 1.0 - iteration / _positive(parameter, "max_iter")) ** parameter.power


def _sigmoid(parameter: SolverParameter, iteration: int) -> float:
    exponent = -_gamma(parameter) * (iteration - _positive(parameter, "stepsize"))
    return parameter.base_lr / (1.0 + math.exp(min(exponent, 700.0)))


def _cosine(parameter: SolverParameter, iteration: int) -> float:
    """Cosine annealing with `cosine_cycles` warm restarts (Loshchilov and Hutter, 2017)."""
    length, cycles = _positive(parameter, "max_iter"), _positive(parameter, "cosine_cycles")
    progress = iteration * cycles % length / length if iteration < length else 1.0
    return parameter.min_lr + (parameter.base_lr - parameter.min_lr) * (1.0 + math.cos(math.pi * progress)) / 2.0


def _plateau(parameter: SolverParameter, plateaus: int) -> float:
    return max(parameter.min_lr, parameter.base_lr * parameter.plateau_factor**plateaus)


def _gamma(parameter: SolverParameter) -> float:
    if parameter.gamma < 0:
        raise SolverError(
            f'lr_policy "{parameter.lr_policy}": invalid gamma: found {parameter.gamma:g}, expected 0 or more'
        )
    return parameter.gamma


def _positive(parameter: SolverParameter, field: str) -> int:
    value = getattr(parameter, field)
    if value <= 0:
        raise SolverError(f'lr_policy "{parameter.lr_policy}": invalid {field}: found {value}, expected more than 0')
    return value


POLICIES: dict[str, Callable[[SolverParameter, int], float]] = {
    "fixed": _fixed,
    "step": _step,
    "exp": _exp,
    "inv": _inv,
    "multistep": _multistep,
    "poly": _poly,
    "sigmoid": _sigmoid,
    "cosine": _cosine,
}
