"""Creation of the optimizer that a SolverParameter describes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from prototxt_like.errors import SolverError
from prototxt_like.net.net import LearnableParam
from prototxt_like.schema.caffe_schema_pb2 import SolverParameter
from prototxt_like.solver.optimizers import OPTIMIZERS, CaffeOptimizer
from prototxt_like.suggest import did_you_mean

# Fields of SolverParameter that each update rule reads.
_RULE_FIELDS: dict[str, tuple[str, ...]] = {
    "SGD": ("momentum",),
    "Nesterov": ("momentum",),
    "AdaGrad": ("delta",),
    "RMSProp": ("rms_decay", "delta"),
    "AdaDelta": ("momentum", "delta"),
    "Adam": ("momentum", "momentum2", "delta"),
    "AdamW": ("momentum", "momentum2", "delta"),
}


def make_optimizer(
    parameter: SolverParameter, learnable_params: Sequence[LearnableParam], *, fused: bool | None = None
) -> CaffeOptimizer:
    """Create the optimizer of a solver, with one parameter group per pair of lr_mult and decay_mult.

    Args:
        parameter: SolverParameter with type, momentum, weight_decay and the other fields of the update rule.
        learnable_params: ``net.learnable_params``; those with lr_mult 0 are frozen.
        fused: See ``Solver``.

    Raises:
        SolverError: If the type is unknown, or all parameters are frozen.
    """
    name = "AdamW" if parameter.decoupled_weight_decay else parameter.type
    if name not in OPTIMIZERS:
        raise SolverError(f'unknown solver type "{name}"{did_you_mean(name, OPTIMIZERS)}')
    return OPTIMIZERS[name](
        _groups(learnable_params),
        parameter.base_lr,
        weight_decay=parameter.weight_decay,
        regularization_type=parameter.regularization_type,
        fused=fused,
        **{field: getattr(parameter, field) for field in _RULE_FIELDS[name]},
    )


def _groups(learnable_params: Sequence[LearnableParam]) -> list[dict[str, Any]]:
    """Group the parameters by their multipliers and freeze those with lr_mult 0."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for parameter, lr_mult, decay_mult in learnable_params:
        parameter.requires_grad_(lr_mult != 0)
        if lr_mult != 0:
            groups.setdefault((lr_mult, decay_mult), []).append(parameter)
    if not groups:
        raise SolverError("all parameters are frozen; set an lr_mult other than 0")
    return [{"params": params, "lr_mult": lr, "decay_mult": decay} for (lr, decay), params in groups.items()]
