"""RMSProp optimizer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from prototxt_like.solver.optimizers._ops import average, divide_by_root, subtract
from prototxt_like.solver.optimizers.base import CaffeOptimizer, Group, check_decay


class RMSProp(CaffeOptimizer):
    """RMSProp: h = d * h + (1 - d) * g^2; w -= lr * g / (sqrt(h) + delta).

    Args:
        rms_decay: Decay d of the mean square, in [0, 1).
        delta: Small constant that prevents division by zero.
    Source: BVLC/caffe src/caffe/solvers/rmsprop_solver.cpp:12-57
    """

    history_names = ("square_avg",)
    has_fused_kernel = False

    def __init__(
        self, params: Iterable[Any], lr: float, *, rms_decay: float = 0.99, delta: float = 1e-8, **common: Any
    ) -> None:
        check_decay("rms_decay", rms_decay)
        super().__init__(params, lr, rms_decay=rms_decay, delta=delta, **common)

    def caffe_update(self, group: Group, params: list[Tensor], grads: list[Tensor], lr: float) -> None:
        """Update the mean square, then divide by its root."""
        (squares,) = self.state_lists(params)
        average(squares, torch._foreach_mul(grads, grads), group["rms_decay"])
        divide_by_root(grads, squares, group["delta"])
        subtract(params, grads, lr)
