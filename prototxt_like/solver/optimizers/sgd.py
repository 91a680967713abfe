"""SGD with momentum, and Nesterov momentum."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim.sgd import sgd

from prototxt_like.solver.optimizers.base import CaffeOptimizer, Group, check_decay


class SGD(CaffeOptimizer):
    """SGD with momentum: v = momentum * v + lr * (g + decay * w); w -= v.

    Unlike in `torch.optim.SGD`, the velocity includes the learning rate, so changes of the learning rate act with a
    delay.

    Args:
        momentum: Momentum in [0, 1).
    Source: BVLC/caffe src/caffe/solvers/sgd_solver.cpp:225-259
    """

    history_names = ("momentum_buffer",)
    nesterov: ClassVar[bool] = False

    def __init__(self, params: Iterable[Any], lr: float, *, momentum: float = 0.0, **common: Any) -> None:
        check_decay("momentum", momentum)
        super().__init__(params, lr, momentum=momentum, **common)

    def caffe_update(self, group: Group, params: list[Tensor], grads: list[Tensor], lr: float) -> None:
        """Update v and subtract it."""
        (velocities,) = self.state_lists(params)
        torch._foreach_mul_(velocities, group["momentum"])
        torch._foreach_add_(velocities, grads, alpha=lr)
        torch._foreach_sub_(params, velocities)

    def fused_update(self, group: Group, params: list[Tensor], grads: list[Tensor], lr: float, decay: float) -> None:
        """Update with torch's kernel at learning rate 1, for which both definitions of momentum are equal."""
        momentum = group["momentum"]
        if not momentum:  # the kernel would not update v
            self.regularize(params, grads, lr, decay)
            self.caffe_update(group, params, grads, lr)
            return
        (velocities,) = self.state_lists(params)
        sgd(
            params,
            grads,
            list(velocities),
            fused=True,
            foreach=False,
            grad_scale=torch.tensor(1.0 / lr if lr else math.inf, device=params[0].device),
            weight_decay=lr * decay,
            momentum=momentum,
            lr=1.0,
            dampening=0.0,
            nesterov=self.nesterov,
            maximize=False,
        )


class Nesterov(SGD):
    """SGD with Nesterov momentum: the update is (1 + momentum) * v_new - momentum * v_old.

    Source: BVLC/caffe src/caffe/solvers/nesterov_solver.cpp:13-43
    """

    nesterov = True

    def caffe_update(self, group: Group, params: list[Tensor], grads: list[Tensor], lr: float) -> None:
        """Update v and subtract the Nesterov update."""
        momentum = group["momentum"]
        (velocities,) = self.state_lists(params)
        updates = torch._foreach_mul(velocities, -momentum)
        torch._foreach_mul_(velocities, momentum)
        torch._foreach_add_(velocities, grads, alpha=lr)
        torch._foreach_add_(updates, velocities, alpha=1 + momentum)
        torch._foreach_sub_(params, updates)
