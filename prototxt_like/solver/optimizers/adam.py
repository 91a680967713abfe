"""Adam and AdamW optimizers. AdamW is an extension."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim.adam import adam

from prototxt_like.solver.optimizers._ops import average, divide_by_root, subtract
from prototxt_like.solver.optimizers.base import CaffeOptimizer, Group, check_decay


class Adam(CaffeOptimizer):
    """Adam with delta outside the bias correction: w -= lr * c * m / (sqrt(v) + delta), c = sqrt(1-b2^t) / (1-b1^t).

    Args:
        momentum: Decay b1 of the mean m of g, in [0, 1).
        momentum2: Decay b2 of the mean v of g^2, in [0, 1).
        delta: Small constant that prevents division by zero.
    Source: BVLC/caffe src/caffe/solvers/adam_solver.cpp:25-77
    """

    history_names = ("exp_avg", "exp_avg_sq")
    decoupled_weight_decay: ClassVar[bool] = False

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        *,
        momentum: float = 0.9,
        momentum2: float = 0.999,
        delta: float = 1e-8,
        **common: Any,
    ) -> None:
        check_decay("momentum", momentum)
        check_decay("momentum2", momentum2)
        super().__init__(params, lr, momentum=momentum, momentum2=momentum2, delta=delta, **common)

    def caffe_update(self, group: Group, params: list[Tensor], grads: list[Tensor], lr: float) -> None:
        """Update both means, then divide the first by the root of the second."""
        momentum, momentum2, updates = group["momentum"], group["momentum2"], self.updates_of(params)
        means, squares = self.state_lists(params)
        average(squares, torch._foreach_mul(grads, grads), momentum2)
        average(means, grads, momentum)
        correction = math.sqrt(1 - momentum2**updates) / (1 - momentum**updates)
        quotients = [mean.clone() for mean in means]
        divide_by_root(quotients, squares, group["delta"])
        subtract(params, quotients, lr * correction)

    def fused_update(self, group: Group, params: list[Tensor], grads: list[Tensor], lr: float, decay: float) -> None:
        """Update with torch's kernel. Its eps is Caffe's delta, rescaled for the bias correction."""
        means, squares = self.state_lists(params)
        adam(
            params,
            grads,
            means,
            squares,
            [],
            self.step_counters(params),
            fused=True,
            foreach=False,
            amsgrad=False,
            beta1=group["momentum"],
            beta2=group["momentum2"],
            lr=lr,
            weight_decay=decay,
            eps=group["delta"] / math.sqrt(1 - group["momentum2"] ** self.updates_of(params)),
            maximize=False,
            decoupled_weight_decay=self.decoupled_weight_decay,
        )


class AdamW(Adam):
    """Adam with decoupled weight decay: w *= 1 - lr * decay. Extension; not in Caffe.

    Source: Loshchilov and Hutter, "Decoupled weight decay regularization", 2019
    """

    decoupled_weight_decay = True

    def regularize(self, params: list[Tensor], grads: list[Tensor], lr: float, decay: float) -> None:
        """Decay the weights directly."""
        if decay:
            torch._foreach_mul_(params, 1 - lr * decay)
