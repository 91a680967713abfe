"""Caffe's solvers as torch optimizers that anyone can use alone.

Each class computes Caffe's own formula on top of torch's functional kernels, which are fused (one pass over the memory)
where the device has them. A parameter group knows `lr_mult` and `decay_mult`, as a Caffe layer's `param { }` does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim.adadelta import adadelta
from torch.optim.adagrad import adagrad
from torch.optim.adam import adam
from torch.optim.rmsprop import rmsprop
from torch.optim.sgd import sgd

from prototxt_like.errors import SolverError

FUSED_DEVICES = ("cpu", "cuda")


class CaffeOptimizer(torch.optim.Optimizer):
    """What all of Caffe's solvers share: multipliers, regularisation, and a history that a solverstate can hold.

    Args:
        params: tensors, or groups; a group may set `lr_mult` and `decay_mult` (both 1 by default).
        lr: rate before `lr_mult`.
        weight_decay: regularisation before `decay_mult`; added to the gradient for every solver type.
        regularization_type: "L2" or "L1".
        fused: one kernel per update; None decides by device.
        rule: what the update rule of the subclass needs.
    Source: BVLC/caffe src/caffe/solvers/sgd_solver.cpp:102-213
    """

    # Names of the state tensors, in the order in which Caffe's solverstate lists them.
    history_names: ClassVar[tuple[str, ...]] = ()
    # Whether torch has a fused kernel for this rule; without one, `fused` changes nothing.
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

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group and decide whether fused kernels can run on it."""
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        if group["fused"] is None:
            group["fused"] = all(p.device.type in FUSED_DEVICES and p.is_floating_point() for p in group["params"])
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
                grads, decay = _regularized(params, [_aligned(p.grad, p) for p in params], group)
                self.update(group, params, grads, rate=group["lr"] * group["lr_mult"], decay=decay)
        return loss

    def update(
        self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor], *, rate: float, decay: float
    ) -> None:
        """Apply the rule of this solver.

        Args:
            group: the group, with the options of the rule.
            params: tensors to change in place.
            grads: their gradients, same shapes and strides; left as they are.
            rate: learning rate, `lr_mult` included.
            decay: L2 decay still to be added to the gradient, `decay_mult` included.
        """
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

    def set_history(self, parameter: Tensor, history: Sequence[Tensor], steps: int) -> None:
        """Take over what `history` gave, or what a solverstate of Caffe holds.

        Args:
            parameter: one of the optimizer's tensors.
            history: one tensor for each of `history_names`, in the parameter's shape.
            steps: updates done so far.
        """
        for states, value in zip(self.state_lists([parameter]), history, strict=True):
            states[0].copy_(value)

    def group_of(self, parameter: Tensor) -> dict[str, Any]:
        """The group that holds this very tensor."""
        for group in self.param_groups:
            if any(parameter is member for member in group["params"]):
                return group
        raise SolverError(f"a parameter of shape {tuple(parameter.shape)} is in no group of this optimizer")


def _aligned(gradient: Tensor, parameter: Tensor) -> Tensor:
    """A tensor of the parameter's shape in the parameter's memory layout: fused kernels walk both as flat memory."""
    if gradient.stride() == parameter.stride():
        return gradient
    return torch.empty_like(parameter, memory_format=torch.preserve_format).copy_(gradient)


def _regularized(params: list[Tensor], grads: list[Tensor], group: dict[str, Any]) -> tuple[list[Tensor], float]:
    """Gradients with L1 decay added, and the L2 decay that the kernel adds itself."""
    decay = group["weight_decay"] * group["decay_mult"]
    if decay == 0 or group["regularization_type"] == "L2":
        return grads, decay
    return list(torch._foreach_add(grads, torch._foreach_sign(params), alpha=decay)), 0.0


class SGD(CaffeOptimizer):
    """Momentum with the rate inside: v = momentum * v + rate * (g + decay * w); w -= v.

    A step of the rate therefore acts later than in `torch.optim.SGD`, whose rate stands outside. Kept in memory is
    u = v / rate, for which torch's fused kernel is exact; u is rescaled whenever the rate changes.

    Args:
        momentum: share of the last update that is kept.
    Source: BVLC/caffe src/caffe/solvers/sgd_solver.cpp:225-259
    """

    history_names = ("momentum_buffer",)
    nesterov: ClassVar[bool] = False

    def __init__(self, params: Iterable[Any], lr: float, *, momentum: float = 0.0, **common: Any) -> None:
        if not 0 <= momentum < 1:
            raise SolverError(f"momentum is {momentum}; it has to be at least 0 and less than 1")
        super().__init__(params, lr, momentum=momentum, **common)

    def update(
        self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor], *, rate: float, decay: float
    ) -> None:
        """Update with torch's kernel on u = v / rate."""
        momentum = group["momentum"]
        buffers: list[Tensor | None] = [None] * len(params)
        if momentum:
            buffers[:] = self.state_lists(params)[0]
            self._change_unit(params, rate)
        if rate == 0:
            self._coast(params, momentum)
            return
        sgd(
            params,
            grads,
            buffers,
            fused=group["fused"],
            foreach=not group["fused"],
            weight_decay=decay,
            momentum=momentum,
            lr=rate,
            dampening=0.0,
            nesterov=self.nesterov and momentum > 0,
            maximize=False,
        )

    def _change_unit(self, params: list[Tensor], rate: float) -> None:
        """Rescale every u so that v = rate * u stays what it was."""
        for parameter in params:
            state = self.state[parameter]
            old = state.setdefault("unit", rate)
            if rate not in (0, old):
                state["momentum_buffer"] *= old / rate if old else 0.0
                state["unit"] = rate

    def _coast(self, params: list[Tensor], momentum: float) -> None:
        """Go on by momentum alone: the rate is 0, v is not."""
        if not momentum:
            return
        for parameter in params:
            state = self.state[parameter]
            state["momentum_buffer"] *= momentum
            share = momentum if self.nesterov else 1.0
            parameter.sub_(state["momentum_buffer"], alpha=state["unit"] * share)

    def history(self, parameter: Tensor) -> list[Tensor]:
        """Caffe's v, which is the rate times the buffer."""
        unit = self.state[parameter].get("unit", 1.0)
        return [value * unit for value in super().history(parameter)]

    def set_history(self, parameter: Tensor, history: Sequence[Tensor], steps: int) -> None:
        """Take over Caffe's v."""
        group = self.group_of(parameter)
        unit = group["lr"] * group["lr_mult"] or 1.0
        super().set_history(parameter, [value / unit for value in history], steps)
        self.state[parameter]["unit"] = unit


class Nesterov(SGD):
    """SGD that looks ahead: the update is (1 + momentum) * v_new - momentum * v_old.

    Source: BVLC/caffe src/caffe/solvers/nesterov_solver.cpp:13-43
    """

    nesterov = True


class AdaGrad(CaffeOptimizer):
    """Rate divided by the root of the summed squares: h += g^2; w -= rate * g / (sqrt(h) + delta).

    Source: BVLC/caffe src/caffe/solvers/adagrad_solver.cpp:12-54
    """

    history_names = ("sum",)

    def __init__(self, params: Iterable[Any], lr: float, *, delta: float = 1e-8, **common: Any) -> None:
        super().__init__(params, lr, delta=delta, **common)

    def update(
        self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor], *, rate: float, decay: float
    ) -> None:
        """Update with torch's kernel without its own decay of the rate."""
        (sums,) = self.state_lists(params)
        adagrad(
            params,
            grads,
            sums,
            _step_counts(self, params),
            fused=group["fused"],
            foreach=not group["fused"],
            lr=rate,
            weight_decay=decay,
            lr_decay=0.0,
            eps=group["delta"],
            maximize=False,
        )


class RMSProp(CaffeOptimizer):
    """Rate divided by a running root mean square: h = d * h + (1 - d) * g^2; w -= rate * g / (sqrt(h) + delta).

    Source: BVLC/caffe src/caffe/solvers/rmsprop_solver.cpp:12-57
    """

    history_names = ("square_avg",)
    has_fused_kernel = False

    def __init__(
        self, params: Iterable[Any], lr: float, *, rms_decay: float = 0.99, delta: float = 1e-8, **common: Any
    ) -> None:
        super().__init__(params, lr, rms_decay=rms_decay, delta=delta, **common)

    def update(
        self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor], *, rate: float, decay: float
    ) -> None:
        """Update with torch's kernel, neither centred nor with momentum."""
        (means,) = self.state_lists(params)
        rmsprop(
            params,
            grads,
            means,
            [],
            [],
            _step_counts(self, params),
            foreach=True,
            lr=rate,
            alpha=group["rms_decay"],
            eps=group["delta"],
            weight_decay=decay,
            momentum=0.0,
            centered=False,
        )


class AdaDelta(CaffeOptimizer):
    """Update in units of past updates: d = g * sqrt((H + delta) / (h + delta)); w -= rate * d.

    h and H are the running means of g^2 and d^2, with `momentum` as their decay.
    Source: BVLC/caffe src/caffe/solvers/adadelta_solver.cpp:27-97
    """

    history_names = ("square_avg", "acc_delta")
    has_fused_kernel = False

    def __init__(
        self, params: Iterable[Any], lr: float, *, momentum: float = 0.95, delta: float = 1e-8, **common: Any
    ) -> None:
        super().__init__(params, lr, momentum=momentum, delta=delta, **common)

    def update(
        self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor], *, rate: float, decay: float
    ) -> None:
        """Update with torch's kernel, whose rho is Caffe's momentum."""
        gradient_means, update_means = self.state_lists(params)
        adadelta(
            params,
            grads,
            gradient_means,
            update_means,
            _step_counts(self, params),
            foreach=True,
            lr=rate,
            rho=group["momentum"],
            eps=group["delta"],
            weight_decay=decay,
            maximize=False,
        )


class Adam(CaffeOptimizer):
    """Adam with delta outside the bias correction: w -= rate * c * m / (sqrt(v) + delta), c = sqrt(1-b2^t) / (1-b1^t).

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
        for name, value in (("momentum", momentum), ("momentum2", momentum2)):
            if not 0 <= value < 1:
                raise SolverError(f"{name} is {value}; it has to be at least 0 and less than 1")
        super().__init__(params, lr, momentum=momentum, momentum2=momentum2, delta=delta, **common)

    def update(
        self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor], *, rate: float, decay: float
    ) -> None:
        """Update with torch's kernel; its eps is Caffe's delta carried over the bias correction.

        All parameters of a group are at the same step: the solver gives each of them a gradient every time.
        """
        counts = _step_counts(self, params)
        for parameter in params:
            self.state[parameter]["updates"] = self.state[parameter].get("updates", 0) + 1
        # The plain number beside torch's counter: reading the counter would make the host wait for a GPU.
        correction = math.sqrt(1.0 - group["momentum2"] ** self.state[params[0]]["updates"])
        means, square_means = self.state_lists(params)
        adam(
            params,
            grads,
            means,
            square_means,
            [],
            counts,
            fused=group["fused"],
            foreach=not group["fused"],
            amsgrad=False,
            beta1=group["momentum"],
            beta2=group["momentum2"],
            lr=rate,
            weight_decay=decay,
            eps=group["delta"] / correction,
            maximize=False,
            decoupled_weight_decay=self.decoupled_weight_decay,
        )

    def set_history(self, parameter: Tensor, history: Sequence[Tensor], steps: int) -> None:
        """Take over both means and the number of steps, on which the bias correction depends."""
        super().set_history(parameter, history, steps)
        _step_counts(self, [parameter])[0].fill_(steps)
        self.state[parameter]["updates"] = steps


class AdamW(Adam):
    """Adam whose decay acts on the weight, not on the gradient: w *= 1 - rate * decay. Not in Caffe.

    Source: Loshchilov and Hutter, "Decoupled weight decay regularization", 2019
    """

    decoupled_weight_decay = True


def _step_counts(optimizer: CaffeOptimizer, params: Sequence[Tensor]) -> list[Tensor]:
    """The step counter of each parameter, which torch's kernels count up themselves."""
    for parameter in params:
        state = optimizer.state[parameter]
        if "step" not in state:
            state["step"] = torch.zeros((), dtype=torch.float32, device=parameter.device)
    return [optimizer.state[p]["step"] for p in params]


OPTIMIZERS: dict[str, type[CaffeOptimizer]] = {
    "SGD": SGD,
    "Nesterov": Nesterov,
    "AdaGrad": AdaGrad,
    "RMSProp": RMSProp,
    "AdaDelta": AdaDelta,
    "Adam": Adam,
    "AdamW": AdamW,
}
