"""Base class of Caffe's update rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from prototxt_like.errors import SolverError

Group = dict[str, Any]


class CaffeOptimizer(torch.optim.Optimizer):
    """Base class of Caffe's update rules: multipliers, regularization, and history for a solverstate.

    Args:
        params: Tensors, or groups; a group may set `lr_mult` and `decay_mult` (both 1 by default).
        lr: Learning rate before `lr_mult`.
        weight_decay: Weight decay before `decay_mult`; added to the gradient for every solver type.
        regularization_type: "L2" or "L1".
        fused: Whether to use torch's fused kernel; None = only on a GPU.
        rule: Options of the subclass's update rule.

    Raises:
        SolverError: If an option is out of range.
    Source: BVLC/caffe src/caffe/solvers/sgd_solver.cpp:102-213
    """

    #: Names of the state tensors, in the order of Caffe's solverstate.
    history_names: ClassVar[tuple[str, ...]] = ()
    #: Whether torch has a fused kernel for this rule.
    has_fused_kernel: ClassVar[bool] = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        *,
        weight_decay: float = 0.0,
        regularization_type: str = "L2",
        fused: bool | None = None,
        **rule: Any,
    ) -> None:
        if regularization_type not in ("L1", "L2"):
            raise SolverError(f'unknown regularization_type "{regularization_type}"; use "L2" or "L1"')
        defaults = {
            "lr": lr,
            "lr_mult": 1.0,
            "decay_mult": 1.0,
            "weight_decay": weight_decay,
            "regularization_type": regularization_type,
            "fused": fused,
            **rule,
        }
        super().__init__(params, defaults)

    def add_param_group(self, param_group: Group) -> None:
        """Add a parameter group and set its ``fused`` option."""
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        if group["fused"] is None:
            group["fused"] = all(parameter.device.type == "cuda" for parameter in group["params"])
        group["fused"] = group["fused"] and self.has_fused_kernel

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient. Groups with `lr_mult` 0 are skipped.

        Args:
            closure: Callable that computes the loss and the gradients again, as in torch.

        Returns:
            Return value of the closure, or None.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            if params and group["lr_mult"] != 0:
                self._step_group(group, params)
        return loss

    def _step_group(self, group: Group, params: list[Tensor]) -> None:
        lr, decay = group["lr"] * group["lr_mult"], group["weight_decay"] * group["decay_mult"]
        grads = [_aligned(p.grad, p) for p in params if p.grad is not None]
        if decay and group["regularization_type"] == "L1":
            torch._foreach_add_(grads, torch._foreach_sign(params), alpha=decay)
            decay = 0.0
        for parameter in params:
            state = self.state[parameter]
            state["updates"] = state.get("updates", 0) + 1
        if group["fused"]:
            self.fused_update(group, params, grads, lr, decay)
            return
        self.regularize(params, grads, lr, decay)
        self.caffe_update(group, params, grads, lr)

    def regularize(self, params: list[Tensor], grads: list[Tensor], lr: float, decay: float) -> None:
        """Add L2 decay to the gradients, in place."""
        if decay:
            torch._foreach_add_(grads, params, alpha=decay)

    def caffe_update(self, group: Group, params: list[Tensor], grads: list[Tensor], lr: float) -> None:
        """Apply the update rule in Caffe's order of operations.

        Args:
            group: Parameter group with the options of the rule.
            params: Parameters; updated in place.
            grads: Gradients including weight decay; overwritten.
            lr: Learning rate including `lr_mult`.
        """
        raise NotImplementedError

    def fused_update(self, group: Group, params: list[Tensor], grads: list[Tensor], lr: float, decay: float) -> None:
        """Apply the update rule with torch's fused kernel. `decay` is the L2 decay, not yet added to the gradients."""
        raise NotImplementedError

    def state_lists(self, params: Sequence[Tensor]) -> list[list[Tensor]]:
        """Return the state tensors of the parameters, one list per history name. Missing ones are created as zeros."""
        for parameter in params:
            state = self.state[parameter]
            for name in self.history_names:
                if name not in state:
                    state[name] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
        return [[self.state[p][name] for p in params] for name in self.history_names]

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a state. Its tensors may have any memory layout; .safetensors files store only contiguous ones."""
        super().load_state_dict(state_dict)
        for parameter, state in self.state.items():
            for name in self.history_names:
                if name in state:
                    state[name] = _aligned(state[name], parameter)

    def history(self, parameter: Tensor) -> list[Tensor]:
        """Return the state of one parameter as in Caffe's solverstate; zeros before the first step."""
        return [states[0].clone() for states in self.state_lists([parameter])]

    def set_history(self, parameter: Tensor, history: Sequence[Tensor], updates: int) -> None:
        """Set the state of one parameter, from `history` or from a Caffe solverstate.

        Args:
            parameter: Parameter of this optimizer.
            history: One tensor per name in `history_names`, in the parameter's shape.
            updates: Number of previous updates, for Adam's bias correction.
        """
        for states, value in zip(self.state_lists([parameter]), history, strict=True):
            states[0].copy_(value)
        self.state[parameter]["updates"] = updates

    def updates_of(self, params: Sequence[Tensor]) -> int:
        """Return the number of updates, which is equal for all parameters of a group."""
        return self.state[params[0]]["updates"]

    def step_counters(self, params: Sequence[Tensor]) -> list[Tensor]:
        """Return the number of previous updates as tensors for torch's kernels, which increment them."""
        before = float(self.updates_of(params) - 1)
        return list(torch.full((len(params),), before, dtype=torch.float32, device=params[0].device).unbind())


def _aligned(gradient: Tensor, parameter: Tensor) -> Tensor:
    """Return a tensor in the parameter's memory layout. Fused kernels treat both as flat memory."""
    if gradient.stride() == parameter.stride():
        return gradient
    return torch.empty_like(parameter, memory_format=torch.preserve_format).copy_(gradient)


def check_decay(name: str, value: float) -> None:
    """Check a momentum or decay of a running mean.

    Raises:
        SolverError: If the value is not in [0, 1).
    """
    if not 0 <= value < 1:
        raise SolverError(f"invalid {name}: found {value}, expected at least 0 and less than 1")
