"""AdaGrad optimizer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim.adagrad import adagrad

from prototxt_like.solver.optimizers._ops import divide_by_root, subtract
from prototxt_like.solver.optimizers.base import CaffeOptimizer, Group


class AdaGrad(CaffeOptimizer):
    """AdaGrad: h += g^2; w -= lr * g / (sqrt(h) + delta).

    Args:
        delta: Small constant that prevents division by zero.
    Source: BVLC/caffe src/caffe/solvers/adagrad_solver.cpp:12-54
    """

    history_names = ("sum",)

    def __init__(self, params: Iterable[Any], lr: float, *, delta: float = 1e-8, **common: Any) -> None:
        super().__init__(params, lr, delta=delta, **common)

    def caffe_update(self, group: Group, params: list[Tensor], grads: list[Tensor], lr: float) -> None:
        """Sum the squares, then divide by their root."""
        (sums,) = self.state_lists(params)
        torch._foreach_add_(sums, torch._foreach_mul(grads, grads))
        divide_by_root(grads, sums, group["delta"])
        subtract(params, grads, lr)

    def fused_update(self, group: Group, params: list[Tensor], grads: list[Tensor], lr: float, decay: float) -> None:
        """Update with torch's kernel, without its own learning-rate decay."""
        (sums,) = self.state_lists(params)
        adagrad(
            params,
            grads,
            sums,
            self.step_counters(params),
            fused=True,
            foreach=False,
            lr=lr,
            weight_decay=decay,
            lr_decay=0.0,
            eps=group["delta"],
            maximize=False,
        )
