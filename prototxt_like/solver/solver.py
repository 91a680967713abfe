"""Caffe solver: learning-rate policy, gradient accumulation, clipping and update rule of a solver.prototxt."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from prototxt_like.errors import SolverError
from prototxt_like.io.files import read_solver
from prototxt_like.io.upgrade import upgrade_solver
from prototxt_like.net.net import LearnableParam, Net
from prototxt_like.schema.caffe_schema_pb2 import SolverParameter
from prototxt_like.solver.lr_policies import learning_rate
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


class Solver:
    """Solver that updates a net's parameters as Caffe does.

    In each update, the gradients of ``iter_size`` calls are summed, clipped, divided by ``iter_size``, regularized and
    passed to the update rule with the learning rate of the iteration. Parameters with ``lr_mult`` 0 are frozen and get
    no gradient. The caller runs the loop (data, tests, end of training) and loads ``initial_weights``.

    Args:
        solver: SolverParameter, or path of a solver.prototxt.
        net: Net of phase TRAIN.
        fused: Whether to use torch's fused kernels, which are two to four times as fast but round differently from
            Caffe. None = only on a GPU.

    Raises:
        FileError: If the file cannot be read.
        SolverError: If fields contradict each other or Caffe's rules.
    Source: BVLC/caffe src/caffe/solver.cpp:170-265, src/caffe/solvers/sgd_solver.cpp:84-145
    """

    def __init__(
        self, solver: SolverParameter | str | os.PathLike[str], net: Net, *, fused: bool | None = None
    ) -> None:
        self.parameter = _parameter(solver)
        check_solver(self.parameter)
        self.net = net
        self.iteration = 0
        #: Number of reductions by the policy "plateau". Set by the caller, which runs the tests.
        self.plateaus = 0
        self.optimizer = make_optimizer(self.parameter, net.learnable_params, fused=fused)
        self._trained = [entry.parameter for entry in net.learnable_params if entry.lr_mult != 0]
        self._losses: deque[Tensor] = deque(maxlen=self.parameter.average_loss)
        self._summed_loss: Tensor | None = None
        self._summed = 0

    def lr(self, iteration: int | None = None) -> float:
        """Return the learning rate of an update before ``lr_mult``; None = the next update."""
        return learning_rate(self.parameter, self.iteration if iteration is None else iteration, self.plateaus)

    def step(self, loss: Tensor) -> bool:
        """Backpropagate a loss; update the parameters after every ``iter_size`` calls.

        Args:
            loss: Scalar loss, averaged over the batch as in Caffe.

        Returns:
            Whether this call updated the parameters. Gradients are then cleared.
        """
        loss.backward()
        value = loss.detach()
        self._summed_loss = value if self._summed_loss is None else self._summed_loss + value
        self._summed += 1
        if self._summed < self.parameter.iter_size:
            return False
        self._losses.append(self._summed_loss / self._summed)
        self.update()
        return True

    def update(self) -> None:
        """Update the parameters from their gradients, the sum of ``iter_size`` backward passes."""
        gradients = _gradients(self._trained)
        _scale(gradients, self.parameter.clip_gradients, self.parameter.iter_size)
        lr = self.lr()
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.step()
        self.zero_grad()
        self.iteration += 1

    def zero_grad(self) -> None:
        """Clear all gradients, including those of an incomplete update."""
        self.optimizer.zero_grad(set_to_none=True)
        self._summed_loss, self._summed = None, 0

    @property
    def smoothed_loss(self) -> float:
        """Mean loss of the last ``average_loss`` updates; NaN before the first update."""
        return float(torch.stack(list(self._losses)).mean()) if self._losses else float("nan")

    @property
    def max_iter(self) -> int:
        """Number of updates after which training ends."""
        return self.parameter.max_iter

    @property
    def done(self) -> bool:
        """Whether ``max_iter`` updates have been made."""
        return self.iteration >= self.parameter.max_iter

    @property
    def test_iter(self) -> list[int]:
        """Number of test batches, one per test net."""
        return list(self.parameter.test_iter)

    @property
    def test_interval(self) -> int:
        """Number of updates between tests; 0 = never."""
        return self.parameter.test_interval

    @property
    def test_due(self) -> bool:
        """Whether Caffe would run a test now, before the next update."""
        interval = self.parameter.test_interval
        first = self.iteration > 0 or self.parameter.test_initialization
        return interval > 0 and self.iteration % interval == 0 and first

    @property
    def snapshot_due(self) -> bool:
        """Whether Caffe would write a snapshot now, after the last update."""
        interval, last = self.parameter.snapshot, self.done and self.parameter.snapshot_after_train
        return self.iteration > 0 and (last or (interval > 0 and self.iteration % interval == 0))

    @property
    def initial_weights(self) -> list[str]:
        """Paths of the caffemodels to initialize from, in loading order."""
        return [name.strip() for names in self.parameter.weights for name in names.split(",") if name.strip()]

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a bit-exact resume, without the net's weights.

        Raises:
            SolverError: If an update is incomplete, because its gradients would be lost.
        """
        if self._summed:
            raise SolverError(
                f"the update is incomplete: found {self._summed} of {self.parameter.iter_size} gradients; "
                "finish it or call zero_grad() before state_dict()"
            )
        return {
            "iteration": self.iteration,
            "plateaus": self.plateaus,
            "losses": [float(loss) for loss in self._losses],
            "optimizer": self.optimizer.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state returned by ``state_dict``."""
        self.zero_grad()
        self.iteration = state["iteration"]
        self.plateaus = state["plateaus"]
        self._losses.clear()
        self._losses.extend(torch.tensor(loss) for loss in state["losses"])
        self.optimizer.load_state_dict(state["optimizer"])


def check_solver(parameter: SolverParameter) -> None:
    """Check a solver by the rules that Caffe applies at start.

    Raises:
        SolverError: If a field is missing, out of range or contradicts another.
    """
    for name in ("iter_size", "average_loss"):
        if getattr(parameter, name) < 1:
            raise SolverError(f"invalid {name}: found {getattr(parameter, name)}, expected 1 or more")
    if not parameter.HasField("base_lr"):
        raise SolverError("the solver has no base_lr; set one, e.g. 0.01")
    if parameter.test_iter and parameter.test_interval < 1:
        raise SolverError("the solver has test_iter but no test_interval; set the number of iterations between tests")
    if parameter.type in ("AdaGrad", "RMSProp") and parameter.momentum:
        raise SolverError(f"{parameter.type} does not support momentum: found {parameter.momentum:g}; remove it")
    if parameter.decoupled_weight_decay and parameter.type not in ("Adam", "AdamW"):
        raise SolverError(f'decoupled_weight_decay requires type "Adam", found "{parameter.type}"; remove it')
    learning_rate(parameter, 0)


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


def _parameter(solver: SolverParameter | str | os.PathLike[str]) -> SolverParameter:
    """Return a copy of the message, or read the file and complete its snapshot_prefix."""
    if not isinstance(solver, SolverParameter):
        return complete_snapshot_prefix(read_solver(solver), solver)
    parameter = SolverParameter()
    parameter.CopyFrom(solver)
    return upgrade_solver(parameter)


def complete_snapshot_prefix(parameter: SolverParameter, path: str | os.PathLike[str]) -> SolverParameter:
    """Name snapshots after the solver file if snapshot_prefix is missing or a folder.

    Source: BVLC/caffe src/caffe/util/upgrade_proto.cpp, UpgradeSnapshotPrefixProperty
    """
    if not parameter.snapshot_prefix:
        parameter.snapshot_prefix = str(Path(path).with_suffix(""))
    elif Path(parameter.snapshot_prefix).is_dir():
        parameter.snapshot_prefix = str(Path(parameter.snapshot_prefix) / Path(path).stem)
    return parameter


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


def _gradients(parameters: Sequence[nn.Parameter]) -> list[Tensor]:
    """Return the gradient of every parameter; zeros if the loss does not depend on it (weight decay still applies)."""
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter, memory_format=torch.preserve_format)
    return [parameter.grad for parameter in parameters if parameter.grad is not None]


@torch.no_grad()
def _scale(gradients: list[Tensor], clip: float, iter_size: int) -> None:
    """Clip the global L2 norm (clip < 0: never), then divide by iter_size."""
    if clip >= 0:
        norm = torch.nn.utils.get_total_norm(gradients)
        torch._foreach_mul_(gradients, torch.where(norm > clip, clip / norm, 1.0))
    if iter_size > 1:
        torch._foreach_mul_(gradients, 1.0 / iter_size)
