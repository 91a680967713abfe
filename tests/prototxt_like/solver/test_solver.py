"""Tests of the solver against Caffe, and of its errors."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from google.protobuf import text_format

import prototxt_like as pl
from prototxt_like.errors import SolverError

CASES = [
    "clip",
    "clip_iter_size_l1",
    "iter_size3",
    "l1",
    "l2",
    "type_adadelta",
    "type_adagrad",
    "type_adam",
    "type_nesterov",
    "type_rmsprop",
]

NET = """
name: "tiny"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 4 dim: 3 } } }
layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 4 } } }
layer { name: "ip1" type: "InnerProduct" bottom: "data" top: "h" inner_product_param { num_output: 5
  weight_filler { type: "xavier" } } param { lr_mult: 1 } param { lr_mult: 2 decay_mult: 0 } }
layer { name: "relu" type: "ReLU" bottom: "h" top: "h" }
layer { name: "ip2" type: "InnerProduct" bottom: "h" top: "y" inner_product_param { num_output: 2
  weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "y" bottom: "label" top: "loss" }
"""
FIXED = 'base_lr: 0.1 lr_policy: "fixed" momentum: 0.9 weight_decay: 0.01 max_iter: 10 '


def parameter(text: str) -> pl.SolverParameter:
    return text_format.Parse(text, pl.SolverParameter())


def tiny(seed: int = 1) -> pl.Net:
    torch.manual_seed(seed)
    return pl.Net(pl.parse_net(NET), phase="TRAIN")


def batch(index: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(index)
    data = torch.randn(4, 3, generator=generator)
    return {"data": data, "label": torch.randint(2, (4,), generator=generator)}


def train(solver: pl.Solver, batches: range) -> None:
    for index in batches:
        solver.step(solver.net.total_loss(solver.net(**batch(index))))


def golden_net(golden: Any) -> pl.Net:
    net = pl.Net(pl.parse_net(str(golden["prototxt"])), phase="TRAIN")
    for layer, tensors in net.params.items():
        for index, tensor in enumerate(tensors):
            tensor.data.copy_(torch.from_numpy(golden[f"w/{layer}/{index}"]))
    return net


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_five_updates_equal_caffe(shared: Path, case: str, fused: bool) -> None:
    with np.load(shared / f"golden/caffe/layers/Solver__{case}.npz") as golden:
        net = golden_net(golden)
        solver = pl.Solver(parameter(str(golden["solver"])), net, fused=fused)
        step = 0
        for data, label in zip(golden["in/data"], golden["in/label"], strict=True):
            outputs = net(data=torch.from_numpy(data), label=torch.from_numpy(label))
            if not solver.step(net.total_loss(outputs)):
                continue
            step += 1
            assert solver.iteration == step
            assert outputs["loss"].item() == pytest.approx(float(golden["loss_last"][step - 1]), rel=1e-5)
            for layer, tensors in net.params.items():
                for index, tensor in enumerate(tensors):
                    expected = golden[f"step{step}/{layer}/{index}"]
                    found = tensor.detach().numpy()
                    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
        assert step == 5


def test_every_golden_case_is_compared(shared: Path) -> None:
    found = {path.stem.removeprefix("Solver__") for path in (shared / "golden/caffe/layers").glob("Solver__*.npz")}
    assert found == set(CASES)


def test_step_updates_and_clears_after_iter_size_calls() -> None:
    solver = pl.Solver(parameter(FIXED + "iter_size: 3"), tiny())
    before = [p.detach().clone() for p in solver.net.parameters()]
    train(solver, range(2))
    assert solver.iteration == 0
    assert all(torch.equal(a, b) for a, b in zip(before, solver.net.parameters(), strict=True))
    train(solver, range(2, 3))
    assert solver.iteration == 1
    assert all(p.grad is None for p in solver.net.parameters())


def test_smoothed_loss_is_the_mean_of_the_last_updates() -> None:
    solver = pl.Solver(parameter(FIXED + "average_loss: 2 iter_size: 2"), tiny())
    assert math.isnan(solver.smoothed_loss)
    losses = []
    for index in range(6):
        loss = solver.net.total_loss(solver.net(**batch(index)))
        losses.append(loss.item())
        solver.step(loss)
    assert solver.smoothed_loss == pytest.approx(np.mean(losses[2:]))


@pytest.mark.parametrize("name", ["SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam", "AdamW"])
def test_resume_is_bit_exact(name: str) -> None:
    momentum = 0.0 if name in ("AdaGrad", "RMSProp") else 0.9
    text = f'type: "{name}" base_lr: 0.05 lr_policy: "cosine" momentum: {momentum} weight_decay: 0.01 max_iter: 8'
    text += " average_loss: 3 warmup_iter: 2 delta: 1e-4"
    whole = pl.Solver(parameter(text), tiny())
    train(whole, range(4))
    state, weights = copy.deepcopy((whole.state_dict(), whole.net.state_dict()))
    resumed = pl.Solver(parameter(text), tiny(seed=2))
    resumed.net.load_state_dict(weights)
    resumed.load_state_dict(state)
    train(whole, range(4, 8))
    train(resumed, range(4, 8))
    for a, b in zip(whole.net.parameters(), resumed.net.parameters(), strict=True):
        assert torch.equal(a, b)
    assert whole.smoothed_loss == resumed.smoothed_loss
    assert whole.done and resumed.done


def test_state_dict_during_an_update_is_an_error() -> None:
    solver = pl.Solver(parameter(FIXED + "iter_size: 3"), tiny())
    train(solver, range(2))
    with pytest.raises(SolverError, match="found 2 of 3 gradients"):
        solver.state_dict()
    solver.zero_grad()
    assert solver.state_dict()["iteration"] == 0


def test_a_state_can_be_saved_by_torch_without_pickle(tmp_path: Path) -> None:
    solver = pl.Solver(parameter(FIXED), tiny())
    train(solver, range(2))
    torch.save(solver.state_dict(), tmp_path / "state.pt")
    other = pl.Solver(parameter(FIXED), tiny())
    other.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert other.iteration == 2


def test_learning_rates_and_multipliers_of_the_groups() -> None:
    solver = pl.Solver(parameter('base_lr: 0.1 lr_policy: "step" gamma: 0.5 stepsize: 1 max_iter: 9'), tiny())
    groups = {(g["lr_mult"], g["decay_mult"]): len(g["params"]) for g in solver.optimizer.param_groups}
    assert groups == {(1.0, 1.0): 3, (2.0, 0.0): 1}
    train(solver, range(2))
    assert solver.optimizer.param_groups[0]["lr"] == pytest.approx(0.05)
    assert solver.lr() == pytest.approx(0.025)
    assert solver.lr(0) == pytest.approx(0.1)


def test_lr_mult_0_freezes_and_skips_the_gradient() -> None:
    net = pl.parse_net(
        NET.replace("param { lr_mult: 1 } param { lr_mult: 2", "param { lr_mult: 0 } param { lr_mult: 0")
    )
    torch.manual_seed(0)
    solver = pl.Solver(parameter(FIXED), pl.Net(net, phase="TRAIN"))
    frozen = [blob.detach().clone() for blob in solver.net.params["ip1"]]
    solver.net.total_loss(solver.net(**batch(0))).backward()
    assert all(blob.grad is None for blob in solver.net.params["ip1"])
    solver.update()
    assert all(torch.equal(a, b) for a, b in zip(frozen, solver.net.params["ip1"], strict=True))


def test_a_parameter_without_gradient_decays() -> None:
    lonely = 'layer { name: "lonely" type: "InnerProduct" bottom: "data" top: "z" inner_product_param { num_output: 2 '
    net = pl.parse_net(NET + lonely + 'weight_filler { type: "constant" value: 1 } } }')
    solver = pl.Solver(parameter(FIXED), pl.Net(net, phase="TRAIN"))
    train(solver, range(1))
    torch.testing.assert_close(solver.net.params["lonely"][0].detach(), torch.full((2, 3), 1 - 0.1 * 0.01))


@pytest.mark.parametrize("read", [pl.parse_solver, parameter])
def test_the_old_solver_type_is_supported(read: Callable[[str], pl.SolverParameter]) -> None:
    solver = pl.Solver(read('base_lr: 1 lr_policy: "fixed" solver_type: ADAM'), tiny())
    assert type(solver.optimizer).__name__ == "Adam"


def test_plateaus_lower_the_learning_rate() -> None:
    solver = pl.Solver(parameter('base_lr: 1 lr_policy: "plateau" plateau_factor: 0.5'), tiny())
    solver.plateaus += 2
    assert solver.lr() == 0.25


def test_decoupled_weight_decay_is_adamw() -> None:
    solver = pl.Solver(parameter('type: "Adam" base_lr: 1 lr_policy: "fixed" decoupled_weight_decay: true'), tiny())
    assert type(solver.optimizer).__name__ == "AdamW"


def test_tests_and_snapshots_are_due_as_in_caffe() -> None:
    text = FIXED + "test_iter: 7 test_interval: 4 snapshot: 3 test_initialization: false"
    solver = pl.Solver(parameter(text), tiny())
    tests, snapshots = [], []
    for iteration in range(11):
        solver.iteration = iteration
        tests += [iteration] if solver.test_due else []
        snapshots += [iteration] if solver.snapshot_due else []
    assert (tests, snapshots) == ([4, 8], [3, 6, 9, 10])
    assert (solver.test_iter, solver.test_interval, solver.max_iter) == ([7], 4, 10)


def test_initial_weights_split_at_commas() -> None:
    solver = pl.Solver(parameter(FIXED + 'weights: "a.caffemodel, b.caffemodel" weights: "c"'), tiny())
    assert solver.initial_weights == ["a.caffemodel", "b.caffemodel", "c"]


def test_snapshot_prefix_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "quick_solver.prototxt"
    path.write_text(FIXED)
    assert pl.Solver(path, tiny()).parameter.snapshot_prefix == str(tmp_path / "quick_solver")
    path.write_text(FIXED + f'snapshot_prefix: "{tmp_path}"')
    assert pl.Solver(path, tiny()).parameter.snapshot_prefix == str(tmp_path / "quick_solver")
    path.write_text(FIXED + 'snapshot_prefix: "here/it"')
    assert pl.Solver(str(path), tiny()).parameter.snapshot_prefix == "here/it"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (FIXED + "iter_size: 0", "invalid iter_size: found 0, expected 1 or more"),
        (FIXED + "average_loss: -1", "invalid average_loss: found -1"),
        ('lr_policy: "fixed"', "no base_lr"),
        (FIXED + "test_iter: 3", "test_iter but no test_interval"),
        (FIXED + 'type: "AdaGrad"', "AdaGrad does not support momentum: found 0.9; remove it"),
        (FIXED + 'type: "Adan"', 'unknown solver type "Adan"; did you mean "Adam"'),
        (FIXED + "decoupled_weight_decay: true", 'requires type "Adam", found "SGD"'),
        ('base_lr: 1 lr_policy: "fixt"', 'unknown lr_policy "fixt"'),
    ],
)
def test_contradictions_are_rejected(text: str, message: str) -> None:
    with pytest.raises(SolverError, match=message):
        pl.Solver(parameter(text), tiny())


def test_a_net_without_parameters_is_rejected() -> None:
    with pytest.raises(SolverError, match="all parameters are frozen"):
        pl.Solver(parameter(FIXED), pl.Net(pl.parse_net(NET.split('layer { name: "ip1"')[0] + SILENT), phase="TRAIN"))


SILENT = 'layer { name: "relu" type: "ReLU" bottom: "data" top: "h" }'
