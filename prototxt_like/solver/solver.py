"""A solver.prototxt as a living object: it turns losses into updates as Caffe does."""

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

# Which fields of SolverParameter each update rule reads.
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
    """Follows a SolverParameter: gradients in, updated parameters out.

    Per update: gradients of ``iter_size`` calls are summed, clipped as a sum, divided by ``iter_size``, regularised,
    and handed to the update rule with the rate of this iteration. Parameters with ``lr_mult`` 0 are frozen and get
    no gradient. The loop itself (data, tests, when to stop) is the caller's, and so is loading ``initial_weights``.

    Args:
        solver: a SolverParameter, or the path of a solver.prototxt.
        net: the net of phase TRAIN.
        fused: update with torch's fused kernels, which are two to four times as fast and round differently from
            Caffe; None = on a GPU alone.

    Raises:
        FileError: the file cannot be read.
        SolverError: fields that contradict each other or Caffe's rules.
    Source: BVLC/caffe src/caffe/solver.cpp:170-265, src/caffe/solvers/sgd_solver.cpp:84-145
    """

    def __init__(
        self, solver: SolverParameter | str | os.PathLike[str], net: Net, *, fused: bool | None = None
    ) -> None:
        self.parameter = _parameter(solver)
        check_solver(self.parameter)
        self.net = net
        self.iteration = 0
        #: How often the policy "plateau" has lowered the rate; the caller counts, because it sees the tests.
        self.plateaus = 0
        self.optimizer = make_optimizer(self.parameter, net.learnable_params, fused=fused)
        self._trained = [entry.parameter for entry in net.learnable_params if entry.lr_mult != 0]
        self._losses: deque[Tensor] = deque(maxlen=self.parameter.average_loss)
        self._summed_loss: Tensor | None = None
        self._summed = 0

    def lr(self, iteration: int | None = None) -> float:
        """Rate of an update before ``lr_mult``; of the next one if no iteration is named."""
        return learning_rate(self.parameter, self.iteration if iteration is None else iteration, self.plateaus)

    def step(self, loss: Tensor) -> bool:
        """Go back from a loss, and update after every ``iter_size`` of them.

        Args:
            loss: scalar; mean over the batch, as Caffe's losses are.

        Returns:
            Whether this call updated the parameters; gradients are then cleared.
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
        """Apply the gradients that lie in the parameters, as the sum of ``iter_size`` backward passes."""
        gradients = _gradients(self._trained)
        _scale(gradients, self.parameter.clip_gradients, self.parameter.iter_size)
        lr = self.lr()
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.step()
        self.zero_grad()
        self.iteration += 1

    def zero_grad(self) -> None:
        """Forget gradients, those of a half-summed update too."""
        self.optimizer.zero_grad(set_to_none=True)
        self._summed_loss, self._summed = None, 0

    @property
    def smoothed_loss(self) -> float:
        """Mean loss of the last ``average_loss`` updates; NaN before the first."""
        return float(torch.stack(list(self._losses)).mean()) if self._losses else float("nan")

    @property
    def max_iter(self) -> int:
        """Number of updates after which training ends."""
        return self.parameter.max_iter

    @property
    def done(self) -> bool:
        """Whether `max_iter` updates are made."""
        return self.iteration >= self.parameter.max_iter

    @property
    def test_iter(self) -> list[int]:
        """Batches of a test, one number for each test net."""
        return list(self.parameter.test_iter)

    @property
    def test_interval(self) -> int:
        """Updates from test to test; 0 = never."""
        return self.parameter.test_interval

    @property
    def test_due(self) -> bool:
        """Whether Caffe would test now, before the next update."""
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
        """The caffemodels that the solver wants to start from, in the order in which they are loaded."""
        return [name.strip() for names in self.parameter.weights for name in names.split(",") if name.strip()]

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs to go on bit for bit; the net's own weights are not in it.

        Raises:
            SolverError: in the middle of an update, whose gradients would be lost.
        """
        if self._summed:
            raise SolverError(
                f"{self._summed} of iter_size {self.parameter.iter_size} gradients are summed; "
                "finish the update or call zero_grad() before saving the state"
            )
        return {
            "iteration": self.iteration,
            "plateaus": self.plateaus,
            "losses": [float(loss) for loss in self._losses],
            "optimizer": self.optimizer.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken."""
        self.zero_grad()
        self.iteration = state["iteration"]
        self.plateaus = state["plateaus"]
        self._losses.clear()
        self._losses.extend(torch.tensor(loss) for loss in state["losses"])
        self.optimizer.load_state_dict(state["optimizer"])


def check_solver(parameter: SolverParameter) -> None:
    """Refuse what Caffe refuses when it starts.

    Raises:
        SolverError: the first contradiction.
    """
    for name in ("iter_size", "average_loss"):
        if getattr(parameter, name) < 1:
            raise SolverError(f"{name} is {getattr(parameter, name)}; it has to be 1 or more")
    if not parameter.HasField("base_lr"):
        raise SolverError("the solver has no base_lr, so nothing would be learned; give one, for instance 0.01")
    if parameter.test_iter and parameter.test_interval < 1:
        raise SolverError("the solver has test_iter but no test_interval; say after how many iterations to test")
    if parameter.type in ("AdaGrad", "RMSProp") and parameter.momentum:
        raise SolverError(f"{parameter.type} has no momentum, found {parameter.momentum:g}; remove it")
    if parameter.decoupled_weight_decay and parameter.type not in ("Adam", "AdamW"):
        raise SolverError(f'decoupled_weight_decay goes with type "Adam", found "{parameter.type}"')
    learning_rate(parameter, 0)


def make_optimizer(
    parameter: SolverParameter, learnable_params: Sequence[LearnableParam], *, fused: bool | None = None
) -> CaffeOptimizer:
    """The update rule of a solver, with one group for each pair of lr_mult and decay_mult.

    Args:
        parameter: type, momentum, weight_decay and whatever else the rule reads.
        learnable_params: ``net.learnable_params``; those with lr_mult 0 are frozen.
        fused: as in ``Solver``.

    Raises:
        SolverError: an unknown type, or nothing to train.
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
    """A copy of the message, or the file with its snapshot_prefix completed."""
    if not isinstance(solver, SolverParameter):
        return complete_snapshot_prefix(read_solver(solver), solver)
    parameter = SolverParameter()
    parameter.CopyFrom(solver)
    return upgrade_solver(parameter)


def complete_snapshot_prefix(parameter: SolverParameter, path: str | os.PathLike[str]) -> SolverParameter:
    """Name snapshots after the solver file where the solver names none, or only a folder.

    Source: BVLC/caffe src/caffe/util/upgrade_proto.cpp, UpgradeSnapshotPrefixProperty
    """
    if not parameter.snapshot_prefix:
        parameter.snapshot_prefix = str(Path(path).with_suffix(""))
    elif Path(parameter.snapshot_prefix).is_dir():
        parameter.snapshot_prefix = str(Path(parameter.snapshot_prefix) / Path(path).stem)
    return parameter


def _groups(learnable_params: Sequence[LearnableParam]) -> list[dict[str, Any]]:
    """Parameters by their multipliers; frozen ones stop asking for a gradient."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for parameter, lr_mult, decay_mult in learnable_params:
        parameter.requires_grad_(lr_mult != 0)
        if lr_mult != 0:
            groups.setdefault((lr_mult, decay_mult), []).append(parameter)
    if not groups:
        raise SolverError("the net has no parameter with an lr_mult other than 0; there is nothing to train")
    return [{"params": params, "lr_mult": lr, "decay_mult": decay} for (lr, decay), params in groups.items()]


def _gradients(parameters: Sequence[nn.Parameter]) -> list[Tensor]:
    """Every parameter's gradient; zero for one that the loss does not reach, which decays all the same."""
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter, memory_format=torch.preserve_format)
    return [parameter.grad for parameter in parameters if parameter.grad is not None]


@torch.no_grad()
def _scale(gradients: list[Tensor], clip: float, iter_size: int) -> None:
    """Clip the sum to an L2 norm over all parameters (clip < 0: never), then divide it by iter_size."""
    if clip >= 0:
        norm = torch.nn.utils.get_total_norm(gradients)
        torch._foreach_mul_(gradients, torch.where(norm > clip, clip / norm, 1.0))
    if iter_size > 1:
        torch._foreach_mul_(gradients, 1.0 / iter_size)
