"""AdaDelta optimizer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from prototxt_like.solver.optimizers._ops import average, subtract
from prototxt_like.solver.optimizers.base import CaffeOptimizer, Group, check_decay


class AdaDelta(CaffeOptimizer):
    """AdaDelta: d = g * sqrt((H + delta) / (h + delta)); w -= lr * d.

    h and H are the running means of g^2 and d^2.

    Args:
        momentum: Decay of both means, in [0, 1).
        delta: Small constant for numerical stability.
    Source: BVLC/caffe src/caffe/solvers/adadelta_solver.cpp:27-97
    """

    history_names = ("square_avg", "acc_delta")
    has_fused_kernel = False

    def __init__(
        self, params: Iterable[Any], lr: float, *, momentum: float = 0.95, delta: float = 1e-8, **common: Any
    ) -> None:
        check_decay("momentum", momentum)
        super().__init__(params, lr, momentum=momentum, delta=delta, **common)

    def caffe_update(self, group: Group, params: list[Tensor], grads: list[Tensor], lr: float) -> None:
        """Update the mean of g^2, scale the gradient, update the mean of d^2."""
        momentum, delta = group["momentum"], group["delta"]
        squares, updates = self.state_lists(params)
        average(squares, torch._foreach_mul(grads, grads), momentum)
        ratios = torch._foreach_div(torch._foreach_add(updates, delta), torch._foreach_add(squares, delta))
        torch._foreach_sqrt_(ratios)
        torch._foreach_mul_(grads, ratios)
        average(updates, torch._foreach_mul(grads, grads), momentum)
        subtract(params, grads, lr)
