"""Caffe's training loop: test, display, update and snapshot at the iterations that the solver sets."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from prototxt_like import glog
from prototxt_like.net.caffemodel import load_weights
from prototxt_like.net.weight_sharing import share_trained_layers
from prototxt_like.schema.caffe_schema_pb2 import SolverParameter
from prototxt_like.solver.loss_average import LossAverage
from prototxt_like.solver.nets import NetSource, find_test_nets, find_train_net
from prototxt_like.solver.snapshot import restore_snapshot, snapshot_path, write_snapshot
from prototxt_like.solver.solver import Solver
from prototxt_like.sources.fed_net import FedNet


class Action(Enum):
    """Request of a signal or a callback."""

    NONE = "none"
    STOP = "stop"
    SNAPSHOT = "snapshot"


class TrainingLoop:
    """Training as Caffe runs it, with Caffe's log lines.

    Args:
        parameter: SolverParameter with its nets, with ``snapshot_prefix`` if snapshots are written.
        folder: Folder of the solver file, where files are searched that are not in the working directory.
        device: Device of the nets.
        make_net: Class of the nets.
        requested_action: Returns the requests since the last call one by one, then ``Action.NONE``.

    Raises:
        FileError: If a file is missing or invalid.
        NetError: If a net cannot be built.
        SolverError: If the solver is invalid.
    Source: BVLC/caffe src/caffe/solver.cpp
    """

    def __init__(
        self,
        parameter: SolverParameter,
        folder: Path | None = None,
        *,
        device: torch.device | str = "cpu",
        make_net: Callable[..., Any] = FedNet,
        requested_action: Callable[[], Action] = lambda: Action.NONE,
    ) -> None:
        self.parameter = parameter
        self._requested_action = requested_action
        self._stopped = False
        for name in ("debug_info", "snapshot_diff"):
            if getattr(parameter, name):
                glog.warning("solver.cpp:45", f"{name} of the solver has no effect")
        if parameter.random_seed >= 0:
            torch.manual_seed(parameter.random_seed)
        self.train_net = _build(find_train_net(parameter, folder), "TRAIN", device, make_net)
        self.solver = Solver(parameter, self.train_net.net)
        self.test_nets: list[FedNet] = []
        for index, source in enumerate(find_test_nets(parameter, folder)):
            glog.info("solver.cpp:190", f"Creating test net (#{index}) specified by {source.origin}")
            self.test_nets.append(_build(source, "TEST", device, make_net))
        for path in self.solver.initial_weights:
            glog.info("solver.cpp:72", f"Finetuning from {path}")
            report = load_weights(self.train_net.net, path)
            for name in report.unused:
                glog.info("net.cpp:746", f"Ignoring source layer {name}")
        self._average = LossAverage(parameter.average_loss)
        self._last_displayed, self._timer = 0, time.perf_counter()
        glog.info("solver.cpp:57", "Solver scaffolding done.")

    @property
    def iteration(self) -> int:
        """Number of updates so far."""
        return self.solver.iteration

    def restore(self, path: str | os.PathLike[str]) -> None:
        """Resume from a .solverstate; see ``restore_snapshot``."""
        restore_snapshot(self.solver, path)
        glog.info("sgd_solver.cpp:336", "SGDSolver: restoring history")

    def solve(self) -> None:
        """Train up to ``max_iter``, write the last snapshot, display and test once more."""
        parameter, solver = self.parameter, self.solver
        glog.info("solver.cpp:289", f"Solving {self.train_net.net.name}")
        glog.info("solver.cpp:290", f"Learning Rate Policy: {parameter.lr_policy}")
        self._stopped = False
        self.step(parameter.max_iter - solver.iteration)
        if parameter.snapshot_after_train and not _is_due(parameter.snapshot, solver.iteration):
            self.snapshot()
        if self._stopped:
            glog.info("solver.cpp:311", "Optimization stopped early.")
            return
        if _is_due(parameter.display, solver.iteration):
            with torch.no_grad():
                loss, _ = self.train_net.forward()
            self._average.add(float(loss))
            loss_text = glog.number(self._average.value)
            glog.info("solver.cpp:327", f"Iteration {solver.iteration}, loss = {loss_text}")
        if _is_due(parameter.test_interval, solver.iteration):
            self.test_all()
        glog.info("solver.cpp:332", "Optimization Done.")

    def step(self, count: int) -> None:
        """Train for a number of iterations.

        Args:
            count: Number of updates.
        """
        solver, parameter = self.solver, self.parameter
        last = solver.iteration + count
        self._average.clear()
        self._timer = time.perf_counter()
        while solver.iteration < last:
            if solver.test_due:
                self.test_all()
                if self._stopped:
                    return
            self.update(display=_is_due(parameter.display, solver.iteration))
            action = self._requested_action()
            if _is_due(parameter.snapshot, solver.iteration) or action is Action.SNAPSHOT:
                self.snapshot()
            if action is Action.STOP:
                self._stopped = True
                return

    def test_all(self) -> None:
        """Run all test nets for ``test_iter`` batches each, and log the mean of their outputs."""
        for index in range(len(self.test_nets)):
            self.test(index)
            if self._stopped:
                return

    def test(self, index: int) -> None:
        """Run one test net; see ``test_all``."""
        glog.info("solver.cpp:347", f"Iteration {self.solver.iteration}, Testing net (#{index})")
        net = self.test_nets[index]
        share_trained_layers(net.net, self.train_net.net)
        sums: dict[str, Tensor] = {}
        total, count = 0.0, self.parameter.test_iter[index]
        for _ in range(count):
            self._answer_requests()
            if self._stopped:
                glog.info("solver.cpp:396", "Test interrupted.")
                return
            with torch.no_grad():
                loss, outputs = net.forward()
            total += float(loss)
            for name, value in outputs.items():
                sums[name] = sums[name] + value if name in sums else value
        if self.parameter.test_compute_loss:
            glog.info("solver.cpp:401", f"Test loss: {glog.number(total / count)}")
        means = {name: value / count for name, value in sums.items()}
        _log_outputs("solver.cpp:414", "Test", means, net.net.loss_weights)

    def snapshot(self) -> None:
        """Write the weights and the state of the solver."""
        is_hdf5 = self.parameter.snapshot_format == SolverParameter.HDF5
        place, kind = ("solver.cpp:474", "HDF5") if is_hdf5 else ("solver.cpp:464", "binary proto")
        suffix = ".h5" if is_hdf5 else ""
        model = snapshot_path(self.solver, f".caffemodel{suffix}")
        glog.info(place, f"Snapshotting to {kind} file {model}")
        _, state = write_snapshot(self.solver)
        place = "sgd_solver.cpp:296" if is_hdf5 else "sgd_solver.cpp:284"
        glog.info(place, f"Snapshotting solver state to {kind} file {state}")

    def update(self, *, display: bool) -> None:
        """Run ``iter_size`` batches forward and backward, log, and update the parameters."""
        iter_size = self.parameter.iter_size
        loss = 0.0
        outputs: Mapping[str, Tensor] = {}
        for _ in range(iter_size):
            part, outputs = self.train_net.forward_backward()
            loss += float(part)
        self._average.add(loss / iter_size)
        if display:
            self._display(outputs)
        self.apply_update()

    def apply_update(self) -> None:
        """Update the parameters from their gradients."""
        self.solver.update()

    def _display(self, outputs: Mapping[str, Tensor]) -> None:
        now, iteration = time.perf_counter(), self.solver.iteration
        lapse = now - self._timer
        speed = (iteration - self._last_displayed) / (lapse or 1)
        pace = f"{glog.number(speed)} iter/s, {glog.number(lapse)}s/{self.parameter.display} iters"
        glog.info("solver.cpp:239", f"Iteration {iteration} ({pace}), loss = {glog.number(self._average.value)}")
        self._timer, self._last_displayed = now, iteration
        _log_outputs("solver.cpp:258", "Train", outputs, self.train_net.net.loss_weights)
        glog.info("sgd_solver.cpp:112", f"Iteration {iteration}, lr = {glog.number(self.solver.lr())}")

    def _answer_requests(self) -> None:
        while (action := self._requested_action()) is not Action.NONE:
            if action is Action.SNAPSHOT:
                self.snapshot()
            else:
                self._stopped = True


def _build(source: NetSource, phase: str, device: torch.device | str, make_net: Callable[..., Any]) -> FedNet:
    options: dict[str, Any] = {"level": source.level, "stages": source.stages, "folder": source.folder}
    net = make_net(source.message, phase, device=device, **options)
    for layer in net.net.caffe_layers:
        glog.info("net.cpp:124", f"Setting up {layer.name}")
    for name in sorted(net.net.outputs):
        glog.info("net.cpp:244", f"This network produces output {name}")
    glog.info("net.cpp:257", "Network initialization done.")
    return net


def _is_due(interval: int, iteration: int) -> bool:
    return interval > 0 and iteration % interval == 0


def _log_outputs(place: str, kind: str, outputs: Mapping[str, Tensor], weights: Mapping[str, float]) -> None:
    """Log each value of each output, in the order of the names as in Caffe."""
    number = 0
    for name in sorted(outputs):
        weight = weights.get(name, 0.0)
        for value in outputs[name].flatten().tolist():
            note = f" (* {glog.number(weight)} = {glog.number(weight * value)} loss)" if weight else ""
            glog.info(place, f"    {kind} net output #{number}: {name} = {glog.number(value)}{note}")
            number += 1
