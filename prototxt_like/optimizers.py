"""Caffe's solvers as torch optimizers that anyone can use alone.

Each rule exists twice: in Caffe's own order of operations, so that rounding too is Caffe's, and, where torch has one,
as a fused kernel that reads and writes the memory once. A parameter group knows `lr_mult` and `decay_mult`, as a
Caffe layer's `param { }` does. A step uses the gradients up, as it does in Caffe: they hold other values afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim.adagrad import adagrad
from torch.optim.adam import adam
from torch.optim.sgd import sgd

from prototxt_like.errors import SolverError

Group = dict[str, Any]


class CaffeOptimizer(torch.optim.Optimizer):
    """What all of Caffe's solvers share: multipliers, regularisation, and a history that a solverstate can hold.

    Args:
        params: tensors, or groups; a group may set `lr_mult` and `decay_mult` (both 1 by default).
        lr: rate before `lr_mult`.
        weight_decay: regularisation before `decay_mult`; added to the gradient for every solver type.
        regularization_type: "L2" or "L1".
        fused: use torch's fused kernel; None = on a GPU alone.
        rule: what the update rule of the subclass needs.

    Raises:
        SolverError: an option out of its range.
    Source: BVLC/caffe src/caffe/solvers/sgd_solver.cpp:102-213
    """

    #: Names of the state tensors, in the order in which Caffe's solverstate lists them.
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
            raise SolverError(f'unknown regularization_type "{regularization_type}"; write "L2" or "L1"')
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
        """Add a group and decide whether the fused kernel runs on it."""
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        if group["fused"] is None:
            group["fused"] = all(parameter.device.type == "cuda" for parameter in group["params"])
        group["fused"] = group["fused"] and self.has_fused_kernel

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient; a group with `lr_mult` 0 stays as it is.

        Args:
            closure: computes the loss and the gradients again; as in torch.

        Returns:
            What the closure returned, or None.
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
        rate, decay = group["lr"] * group["lr_mult"], group["weight_decay"] * group["decay_mult"]
        grads = [_aligned(p.grad, p) for p in params if p.grad is not None]
        if decay and group["regularization_type"] == "L1":
            torch._foreach_add_(grads, torch._foreach_sign(params), alpha=decay)
            decay = 0.0
        for parameter in params:
            state = self.state[parameter]
            state["updates"] = state.get("updates", 0) + 1
        if group["fused"]:
            self.fused_update(group, params, grads, rate, decay)
            return
        self.regularize(params, grads, rate, decay)
        self.caffe_update(group, params, grads, rate)

    def regularize(self, params: list[Tensor], grads: list[Tensor], rate: float, decay: float) -> None:
        """Add L2 decay to the gradients, in place."""
        if decay:
            torch._foreach_add_(grads, params, alpha=decay)

    def caffe_update(self, group: Group, params: list[Tensor], grads: list[Tensor], rate: float) -> None:
        """Apply the rule in Caffe's order of operations.

        Args:
            group: the options of the rule.
            params: tensors to change in place.
            grads: their gradients with decay; used up.
            rate: learning rate, `lr_mult` included.
        """
        raise NotImplementedError

    def fused_update(self, group: Group, params: list[Tensor], grads: list[Tensor], rate: float, decay: float) -> None:
        """Apply the rule with torch's fused kernel; `decay` is L2 decay that the gradients do not have yet."""
        raise NotImplementedError

    def state_lists(self, params: Sequence[Tensor]) -> list[list[Tensor]]:
        """The state tensors of these parameters by name of `history_names`, made of zeros where there are none yet."""
        for parameter in params:
            state = self.state[parameter]
            for name in self.history_names:
                if name not in state:
                    state[name] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
        return [[self.state[p][name] for p in params] for name in self.history_names]

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a state; its tensors may come in any memory layout (a .safetensors file knows only one)."""
        super().load_state_dict(state_dict)
        for parameter, state in self.state.items():
            for name in self.history_names:
                if name in state:
                    state[name] = _aligned(state[name], parameter)

    def history(self, parameter: Tensor) -> list[Tensor]:
        """The state of one parameter as Caffe's solverstate holds it; zeros before the first step."""
        return [states[0].clone() for states in self.state_lists([parameter])]

    def set_history(self, parameter: Tensor, history: Sequence[Tensor], updates: int) -> None:
        """Take over what `history` gave, or what a solverstate of Caffe holds.

        Args:
            parameter: one of the optimizer's tensors.
            history: one tensor for each of `history_names`, in the parameter's shape.
            updates: updates done so far; Adam's bias correction depends on it.
        """
        for states, value in zip(self.state_lists([parameter]), history, strict=True):
            states[0].copy_(value)
        self.state[parameter]["updates"] = updates

    def updates_of(self, params: Sequence[Tensor]) -> int:
        """How many updates these parameters have had; the solver gives each of them one every time."""
        return self.state[params[0]]["updates"]

    def step_counters(self, params: Sequence[Tensor]) -> list[Tensor]:
        """The updates before this one as torch's kernels want them; they count up themselves."""
        before = float(self.updates_of(params) - 1)
        return list(torch.full((len(params),), before, dtype=torch.float32, device=params[0].device).unbind())


def _aligned(gradient: Tensor, parameter: Tensor) -> Tensor:
    """A tensor of the parameter's shape in the parameter's memory layout: fused kernels walk both as flat memory."""
    if gradient.stride() == parameter.stride():
        return gradient
    return torch.empty_like(parameter, memory_format=torch.preserve_format).copy_(gradient)


def _check_share(name: str, value: float) -> None:
    if not 0 <= value < 1:
        raise SolverError(f"{name} is {value}; it has to be at least 0 and less than 1")


class SGD(CaffeOptimizer):
    """Momentum with the rate inside: v = momentum * v + rate * (g + decay * w); w -= v.

    A step of the rate therefore acts later than in `torch.optim.SGD`, whose rate stands outside.

    Args:
        momentum: share of the last update that is kept.
    Source: BVLC/caffe src/caffe/solvers/sgd_solver.cpp:225-259
    """

    history_names = ("momentum_buffer",)
    nesterov: ClassVar[bool] = False

    def __init__(self, params: Iterable[Any], lr: float, *, momentum: float = 0.0, **common: Any) -> None:
        _check_share("momentum", momentum)
        super().__init__(params, lr, momentum=momentum, **common)

    def caffe_update(self, group: Group, params: list[Tensor], grads: list[Tensor], rate: float) -> None:
        """Update v, then subtract it."""
        if not group["momentum"]:
            torch._foreach_add_(params, grads, alpha=-rate)
            return
        (velocities,) = self.state_lists(params)
        torch._foreach_mul_(velocities, group["momentum"])
        torch._foreach_add_(velocities, grads, alpha=rate)
        torch._foreach_sub_(params, velocities)

    def fused_update(self, group: Group, params: list[Tensor], grads: list[Tensor], rate: float, decay: float) -> None:
        """Update with torch's kernel at rate 1, for which rates inside and outside are the same thing."""
        momentum = group["momentum"]
        velocities: list[Tensor | None] = [None] * len(params)
        if momentum:
            velocities[:] = self.state_lists(params)[0]
        sgd(
            params,
            grads,
            velocities,
            fused=True,
            foreach=False,
            grad_scale=torch.tensor(1.0 / rate if rate else math.inf, device=params[0].device),
            weight_decay=rate * decay,
            momentum=momentum,
            lr=1.0,
            dampening=0.0,
            nesterov=self.nesterov and momentum > 0,
            maximize=False,
        )


class Nesterov(SGD):
    """SGD that looks ahead: the update is (1 + momentum) * v_new - momentum * v_old.

    Source: BVLC/caffe src/caffe/solvers/nesterov_solver.cpp:13-43
    """

    nesterov = True

    def caffe_update(self, group: Group, params: list[Tensor], grads: list[Tensor], rate: float) -> None:
        """Update v, then step back and over."""
        momentum = group["momentum"]
        (velocities,) = self.state_lists(params)
        updates = torch._foreach_mul(velocities, -momentum)
        torch._foreach_mul_(velocities, momentum)
        torch._foreach_add_(velocities, grads, alpha=rate)
        torch._foreach_add_(updates, velocities, alpha=1 + momentum)
        torch._foreach_sub_(params, updates)


class AdaGrad(CaffeOptimizer):
    """Rate divided by the root of the summed squares: h += g^2; w -= rate * g / (sqrt(h) + delta).

    Args:
        delta: keeps the divisor from 0.
    Source: BVLC/caffe src/caffe/solvers/adagrad_solver.cpp:12-54
    """

    history_names = ("sum",)

    def __init__(self, params: Iterable[Any], lr: float, *, delta: float = 1e-8, **common: Any) -> None:
        super().__init__(params, lr, delta=delta, **common)

    def caffe_update(self, group: Group, params: list[Tensor], grads: list[Tensor], rate: float) -> None:
        """Sum the squares, then divide by their root."""
        (sums,) = self.state_lists(params)
        torch._foreach_add_(sums, torch._foreach_mul(grads, grads))
        _divide_by_root(grads, sums, group["delta"])
        _subtract(params, grads, rate)

    def fused_update(self, group: Group, params: list[Tensor], grads: list[Tensor], rate: float, decay: float) -> None:
        """Update with torch's kernel without its own decay of the rate."""
        (sums,) = self.state_lists(params)
        adagrad(
            params,
            grads,
            sums,
            self.step_counters(params),
            fused=True,
            foreach=False,
            lr=rate,
            weight_decay=decay,
            lr_decay=0.0,
            eps=group["delta"],
            maximize=False,
        )


class RMSProp(CaffeOptimizer):
    """Rate divided by a running root mean square: h = d * h + (1 - d) * g^2; w -= rate * g / (sqrt(h) + delta).

    Args:
        rms_decay: the d of the formula.
        delta: keeps the divisor from 0.
    Source: BVLC/caffe src/caffe/solvers/rmsprop_solver.cpp:12-57
    """

    history_names = ("square_avg",)
    has_fused_kernel = False

    def __init__(
        self, params: Iterable[Any], lr: float, *, rms_decay: float = 0.99, delta: float = 1e-8, **common: Any
    ) -> None:
        _check_share("rms_decay", rms_decay)
        super().__init__(params, lr, rms_decay=rms_decay, delta=delta, **common)

    def caffe_update(self, group: Group, params: list[Tensor], grads: list[Tensor], rate: float) -> None:
        """Update the mean square, then divide by its root."""
        (squares,) = self.state_lists(params)
        _average(squares, torch._foreach_mul(grads, grads), group["rms_decay"])
        _divide_by_root(grads, squares, group["delta"])
        _subtract(params, grads, rate)


class AdaDelta(CaffeOptimizer):
    """Update in units of past updates: d = g * sqrt((H + delta) / (h + delta)); w -= rate * d.

    h and H are the running means of g^2 and d^2.

    Args:
        momentum: decay of both means.
        delta: keeps quotients from 0 and infinity.
    Source: BVLC/caffe src/caffe/solvers/adadelta_solver.cpp:27-97
    """

    history_names = ("square_avg", "acc_delta")
    has_fused_kernel = False

    def __init__(
        self, params: Iterable[Any], lr: float, *, momentum: float = 0.95, delta: float = 1e-8, **common: Any
    ) -> None:
        _check_share("momentum", momentum)
        super().__init__(params, lr, momentum=momentum, delta=delta, **common)

    def caffe_update(self, group: Group, params: list[Tensor], grads: list[Tensor], rate: float) -> None:
        """Update the mean of g^2, scale the gradient, update the mean of d^2."""
        momentum, delta = group["momentum"], group["delta"]
        squares, updates = self.state_lists(params)
        _average(squares, torch._foreach_mul(grads, grads), momentum)
        ratios = torch._foreach_div(torch._foreach_add(updates, delta), torch._foreach_add(squares, delta))
        torch._foreach_sqrt_(ratios)
        torch._foreach_mul_(grads, ratios)
        _average(updates, torch._foreach_mul(grads, grads), momentum)
        _subtract(params, grads, rate)


class Adam(CaffeOptimizer):
    """Adam with delta outside the bias correction: w -= rate * c * m / (sqrt(v) + delta), c = sqrt(1-b2^t) / (1-b1^t).

    Args:
        momentum: b1, decay of the mean of g.
        momentum2: b2, decay of the mean of g^2.
        delta: keeps the divisor from 0.
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
        _check_share("momentum", momentum)
        _check_share("momentum2", momentum2)
        super().__init__(params, lr, momentum=momentum, momentum2=momentum2, delta=delta, **common)

    def caffe_update(self, group: Group, params: list[Tensor], grads: list[Tensor], rate: float) -> None:
        """Update both means, then divide one by the root of the other."""
        momentum, momentum2, updates = group["momentum"], group["momentum2"], self.updates_of(params)
        means, squares = self.state_lists(params)
        _average(squares, torch._foreach_mul(grads, grads), momentum2)
        _average(means, grads, momentum)
        correction = math.sqrt(1 - momentum2**updates) / (1 - momentum**updates)
        quotients = [mean.clone() for mean in means]
        _divide_by_root(quotients, squares, group["delta"])
        _subtract(params, quotients, rate * correction)

    def fused_update(self, group: Group, params: list[Tensor], grads: list[Tensor], rate: float, decay: float) -> None:
        """Update with torch's kernel; its eps is Caffe's delta carried over the bias correction."""
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
            lr=rate,
            weight_decay=decay,
            eps=group["delta"] / math.sqrt(1 - group["momentum2"] ** self.updates_of(params)),
            maximize=False,
            decoupled_weight_decay=self.decoupled_weight_decay,
        )


class AdamW(Adam):
    """Adam whose decay acts on the weight, not on the gradient: w *= 1 - rate * decay. Not in Caffe.

    Source: Loshchilov and Hutter, "Decoupled weight decay regularization", 2019
    """

    decoupled_weight_decay = True

    def regularize(self, params: list[Tensor], grads: list[Tensor], rate: float, decay: float) -> None:
        """Shrink the weights themselves."""
        if decay:
            torch._foreach_mul_(params, 1 - rate * decay)


def _average(means: list[Tensor], values: list[Tensor] | tuple[Tensor, ...], decay: float) -> None:
    """mean = decay * mean + (1 - decay) * value, in place."""
    torch._foreach_mul_(means, decay)
    torch._foreach_add_(means, values, alpha=1 - decay)


def _divide_by_root(values: list[Tensor], squares: list[Tensor], delta: float) -> None:
    """value /= sqrt(square) + delta, in place."""
    roots = torch._foreach_sqrt(squares)
    torch._foreach_add_(roots, delta)
    torch._foreach_div_(values, roots)


def _subtract(params: list[Tensor], values: list[Tensor], rate: float) -> None:
    """param -= rate * value, in place, rounded after each operation as in Caffe."""
    torch._foreach_mul_(values, rate)
    torch._foreach_sub_(params, values)


OPTIMIZERS: dict[str, type[CaffeOptimizer]] = {
    "SGD": SGD,
    "Nesterov": Nesterov,
    "AdaGrad": AdaGrad,
    "RMSProp": RMSProp,
    "AdaDelta": AdaDelta,
    "Adam": Adam,
    "AdamW": AdamW,
}
