"""Tests of pycaffe's solvers: the same updates as the training loop, diffs, callbacks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import prototxt_like as pl
from prototxt_like import pycaffe as caffe
from prototxt_like.solver.training_loop import TrainingLoop

RULES = ["SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam"]


@pytest.mark.parametrize("rule", RULES)
def test_steps_equal_the_training_loop(solver_file: Path, rule: str) -> None:
    text = solver_file.read_text() + f' type: "{rule}" weight_decay: 0.01 iter_size: 2'
    solver_file.write_text(text.replace("momentum: 0.9", "") if rule in ("AdaGrad", "RMSProp") else text)
    solver = caffe.get_solver(str(solver_file))
    assert type(solver).__name__ == f"{rule}Solver"
    loop = TrainingLoop(pl.read_solver(solver_file), solver_file.parent)
    start = {name: [blob.data.copy() for blob in blobs] for name, blobs in solver.net.params.items()}
    solver.step(2)
    solver.step(3)
    loop.step(5)
    assert solver.iter == loop.iteration == 5
    for name, blobs in loop.train_net.net.params.items():
        for index, blob in enumerate(blobs):
            np.testing.assert_allclose(solver.net.params[name][index].data, blob.detach().numpy(), rtol=1e-5, atol=1e-6)
            assert not np.array_equal(solver.net.params[name][index].data, start[name][index])


def test_diff_after_a_step_is_the_update(solver_file: Path) -> None:
    solver = caffe.SGDSolver(str(solver_file))
    before = solver.net.params["ip1"][0].data.copy()
    solver.step(1)
    blob = solver.net.params["ip1"][0]
    np.testing.assert_array_equal(before - blob.data, blob.diff)
    assert solver.lr == pytest.approx(0.5) and solver.param.max_iter == 60


def test_training_by_hand(solver_file: Path) -> None:
    """Gradients computed by forward and backward, changed, and applied."""
    by_step, by_hand = (caffe.SGDSolver(str(solver_file)) for _ in range(2))
    by_step.step(1)
    by_hand.net.clear_param_diffs()
    by_hand.net.forward()
    by_hand.net.backward()
    by_hand.net.params["ip1"][0].diff[...] *= 1
    by_hand.apply_update()
    assert by_hand.iter == 1
    np.testing.assert_array_equal(by_hand.net.params["ip1"][0].data, by_step.net.params["ip1"][0].data)


def test_solve_restore_and_callbacks(solver_file: Path) -> None:
    solver = caffe.get_solver(str(solver_file))
    calls: list[str] = []
    solver.add_callback(lambda: calls.append("start"), lambda: calls.append("gradients"))
    solver.step(3)
    assert calls == ["start", "gradients"] * 3
    solver.snapshot()
    other = caffe.get_solver(str(solver_file))
    other.solve(str(solver_file.parent / "snap_iter_3.solverstate"))
    assert other.iter == 60
    assert float(other.net.blobs["loss"].data) < 0.2
    assert other.test_nets[0].blobs["accuracy"].data.shape == ()


def test_share_weights_with_a_test_net(solver_file: Path) -> None:
    solver = caffe.get_solver(str(solver_file))
    solver.share_weights(solver.test_nets[0])
    solver.step(1)
    for name, blobs in solver.net.params.items():
        np.testing.assert_array_equal(solver.test_nets[0].params[name][0].data, blobs[0].data)
