"""Caffe solver: learning-rate policy, gradient accumulation, clipping and update rule of a solver.prototxt."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from prototxt_like.errors import SolverError
from prototxt_like.net.net import Net
from prototxt_like.schema.caffe_schema_pb2 import SolverParameter
from prototxt_like.solver.lr_policies import learning_rate
from prototxt_like.solver.optimizer_factory import make_optimizer
from prototxt_like.solver.parameter import check_solver, load_parameter


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
        self.parameter = load_parameter(solver)
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
