"""pycaffe's solvers: train by steps, with access to the nets between them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from prototxt_like.io.files import read_solver
from prototxt_like.net.net import Net as TorchNet
from prototxt_like.net.weight_sharing import share_trained_layers
from prototxt_like.pycaffe.net import Net
from prototxt_like.schema.caffe_schema_pb2 import NetParameter, SolverParameter
from prototxt_like.solver.parameter import load_parameter
from prototxt_like.solver.training_loop import TrainingLoop

Callback = Callable[[], object]


class _SolverNet:
    """Net of pycaffe in the interface of the training loop."""

    def __init__(self, message: NetParameter, phase: str, **options: Any) -> None:
        self.caffe = Net.from_message(message, phase, **options)

    @property
    def net(self) -> TorchNet:
        return self.caffe.torch_net

    def forward(self) -> tuple[Tensor, dict[str, Tensor]]:
        loss = self.caffe._forward(0, len(self.caffe._layer_names) - 1)
        outputs = {name: torch.from_numpy(self.caffe.blobs[name].data.copy()) for name in self.caffe.outputs}
        return torch.tensor(loss), outputs

    def forward_backward(self) -> tuple[Tensor, dict[str, Tensor]]:
        result = self.forward()
        self.caffe._backward(len(self.caffe._layer_names) - 1, 0)
        return result


class _Loop(TrainingLoop):
    """Training loop with pycaffe's nets, whose parameter diffs are live arrays."""

    def __init__(self, parameter: SolverParameter, folder: Path) -> None:
        super().__init__(parameter, folder, make_net=_SolverNet)
        self.callbacks: list[tuple[Callback, Callback]] = []

    def update(self, *, display: bool) -> None:
        """Run one iteration; diffs are cleared before it."""
        self.train_net.caffe.clear_param_diffs()  # type: ignore[attr-defined]
        for on_start, _ in self.callbacks:
            on_start()
        super().update(display=display)

    @torch.no_grad()
    def apply_update(self) -> None:
        """Update the parameters from their diffs. A diff is then the update that was subtracted, as in Caffe."""
        for _, on_gradients_ready in self.callbacks:
            on_gradients_ready()
        layerwise = self.train_net.caffe._layerwise  # type: ignore[attr-defined]
        parameters = [entry.parameter for entry in self.train_net.net.learnable_params if entry.lr_mult]
        before = [parameter.clone() for parameter in parameters]
        for parameter in parameters:
            parameter.grad = layerwise.param_diff(parameter).clone()
        self.solver.update()
        for parameter, old in zip(parameters, before, strict=True):
            layerwise.param_diff(parameter).copy_(old - parameter)


class Solver:
    """Solver of pycaffe.

    Args:
        solver_file: Path of a solver.prototxt.

    Raises:
        FileError: If a file is missing or invalid.
        SolverError: If the solver is invalid.
    """

    #: Type of the update rule; empty = that of the file.
    type: ClassVar[str] = ""

    def __init__(self, solver_file: str | os.PathLike[str]) -> None:
        parameter = load_parameter(solver_file)
        if self.type:
            parameter.type = self.type
        self._loop = _Loop(parameter, Path(solver_file).parent)

    @property
    def net(self) -> Net:
        """Net of phase TRAIN."""
        return self._loop.train_net.caffe  # type: ignore[attr-defined]

    @property
    def test_nets(self) -> list[Net]:
        """Nets of phase TEST. They have the weights of ``net`` after the first test or ``share_with``."""
        return [net.caffe for net in self._loop.test_nets]  # type: ignore[attr-defined]

    @property
    def iter(self) -> int:
        """Number of updates so far."""
        return self._loop.iteration

    @property
    def param(self) -> SolverParameter:
        """Parameters; changes of ``base_lr`` take effect at once."""
        return self._loop.solver.parameter

    @property
    def lr(self) -> float:
        """Learning rate of the next update."""
        return self._loop.solver.lr()

    def step(self, iterations: int) -> None:
        """Train for a number of iterations, with tests, log lines and snapshots as the solver sets them."""
        self._loop.step(iterations)

    def solve(self, resume_file: str | os.PathLike[str] | None = None) -> None:
        """Train up to ``max_iter``, from a .solverstate if one is given."""
        if resume_file is not None:
            self.restore(resume_file)
        self._loop.solve()

    def restore(self, state_file: str | os.PathLike[str]) -> None:
        """Resume from a .solverstate."""
        self._loop.restore(state_file)

    def snapshot(self) -> None:
        """Write weights and solver state under ``snapshot_prefix``."""
        self._loop.snapshot()

    def apply_update(self) -> None:
        """Update the parameters from their diffs, and count an iteration."""
        self._loop.apply_update()

    def share_weights(self, net: Net) -> None:
        """Let a net use the parameters of the solver's net."""
        share_trained_layers(net.torch_net, self.net.torch_net)

    def add_callback(self, on_start: Callback, on_gradients_ready: Callback) -> None:
        """Call functions at the start of each iteration and before each update."""
        self._loop.callbacks.append((on_start, on_gradients_ready))


class SGDSolver(Solver):
    """Stochastic gradient descent with momentum."""

    type = "SGD"


class NesterovSolver(SGDSolver):
    """Nesterov's accelerated gradient."""

    type = "Nesterov"


class AdaGradSolver(SGDSolver):
    """AdaGrad."""

    type = "AdaGrad"


class RMSPropSolver(SGDSolver):
    """RMSProp."""

    type = "RMSProp"


class AdaDeltaSolver(SGDSolver):
    """AdaDelta."""

    type = "AdaDelta"


class AdamSolver(SGDSolver):
    """Adam."""

    type = "Adam"


_CLASSES = {
    cls.type: cls for cls in (SGDSolver, NesterovSolver, AdaGradSolver, RMSPropSolver, AdaDeltaSolver, AdamSolver)
}


def get_solver(solver_file: str | os.PathLike[str]) -> Solver:
    """Return a solver of the type that the file sets."""
    return _CLASSES.get(read_solver(solver_file).type, Solver)(solver_file)
