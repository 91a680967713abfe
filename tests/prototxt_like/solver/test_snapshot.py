"""Tests for snapshots: Caffe's names and layout, and resuming."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from google.protobuf import text_format

import prototxt_like as pl
from prototxt_like.errors import FileError, SolverError

NET = """
name: "tiny"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 6 dim: 3 dim: 5 dim: 4 } } }
layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 6 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "c" convolution_param { num_output: 2 kernel_size: 3
  weight_filler { type: "xavier" } } param { lr_mult: 0 } }
layer { name: "bn" type: "BatchNorm" bottom: "c" top: "c" }
layer { name: "ip" type: "InnerProduct" bottom: "c" top: "y" inner_product_param { num_output: 2
  weight_filler { type: "xavier" } } param { lr_mult: 1 } param { lr_mult: 2 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "y" bottom: "label" top: "loss" }
"""
TYPES = ["SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam"]


def make(folder: Path, name: str = "SGD", seed: int = 1, extra: str = "") -> pl.Solver:
    torch.manual_seed(seed)
    momentum = "" if name in ("AdaGrad", "RMSProp") else "momentum: 0.9"
    text = f'type: "{name}" base_lr: 0.05 lr_policy: "multistep" stepvalue: 2 gamma: 0.5 max_iter: 9 delta: 1e-4 '
    text += f'{momentum} weight_decay: 0.01 snapshot_prefix: "{folder}/net"'
    parameter = text_format.Parse(text, pl.SolverParameter())
    parameter.MergeFrom(text_format.Parse(extra, pl.SolverParameter()))
    return pl.Solver(parameter, pl.Net(pl.parse_net(NET), phase="TRAIN"))


def train(solver: pl.Solver, batches: range) -> None:
    for index in batches:
        generator = torch.Generator().manual_seed(index)
        data = torch.randn(6, 3, 5, 4, generator=generator)
        label = torch.randint(2, (6,), generator=generator)
        solver.step(solver.net.total_loss(solver.net(data=data, label=label)))


@pytest.mark.parametrize("name", TYPES)
def test_resume_from_a_snapshot(tmp_path: Path, name: str) -> None:
    whole = make(tmp_path, name)
    train(whole, range(4))
    model, state = pl.write_snapshot(whole)
    assert (model.name, state.name) == ("net_iter_4.caffemodel", "net_iter_4.solverstate")
    resumed = make(tmp_path, name, seed=2)
    pl.restore_snapshot(resumed, state)
    assert resumed.iteration == 4
    train(whole, range(4, 8))
    train(resumed, range(4, 8))
    for layer, blobs in whole.net.params.items():
        for a, b in zip(blobs, resumed.net.params[layer], strict=True):
            torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-7)


def test_the_state_has_a_history_for_every_blob_of_caffe(tmp_path: Path) -> None:
    solver = make(tmp_path, "Adam")
    train(solver, range(3))
    _, path = pl.write_snapshot(solver)
    state = pl.read_solver_state(path)
    shapes = [tuple(blob.shape.dim) for blob in state.history]
    blobs = [tuple(blob.shape) for blobs in solver.net.params.values() for blob in blobs]
    assert shapes == blobs * 2
    assert (state.iter, state.current_step) == (3, 1)
    assert state.learned_net == str(tmp_path / "net_iter_3.caffemodel")
    frozen, bias = state.history[0], state.history[-1]
    assert not any(frozen.data)
    torch.testing.assert_close(torch.tensor(bias.data), solver.optimizer.history(solver.net.params["ip"][1])[1])


def test_weights_moved_with_the_state_are_found(tmp_path: Path) -> None:
    solver = make(tmp_path)
    train(solver, range(1))
    for path in pl.write_snapshot(solver):
        (tmp_path / "moved").mkdir(exist_ok=True)
        path.rename(tmp_path / "moved" / path.name)
    other = make(tmp_path, seed=2)
    pl.restore_snapshot(other, tmp_path / "moved/net_iter_1.solverstate")
    assert torch.equal(other.net.params["ip"][0], solver.net.params["ip"][0])
    (tmp_path / "moved/net_iter_1.caffemodel").unlink()
    with pytest.raises(FileError, match="its weights are missing"):
        pl.restore_snapshot(other, tmp_path / "moved/net_iter_1.solverstate")


def test_the_state_of_another_solver_is_rejected(tmp_path: Path) -> None:
    _, state = pl.write_snapshot(make(tmp_path, "Adam"))
    with pytest.raises(SolverError, match="wrong number of history blobs: found 14, expected 7 for SGD"):
        pl.restore_snapshot(make(tmp_path), state)


def test_a_history_of_another_shape_is_rejected_before_anything_changes(tmp_path: Path) -> None:
    solver = make(tmp_path)
    _, path = pl.write_snapshot(solver)
    state = pl.read_solver_state(path)
    state.history[5].shape.dim[0] = 1
    del state.history[5].data[12:]
    pl.write_binary(state, path)
    other = make(tmp_path, seed=2)
    before = other.net.params["ip"][0].detach().clone()
    with pytest.raises(SolverError, match=r"wrong shape of history 5: found \(1, 12\), expected \(2, 12\)"):
        pl.restore_snapshot(other, path)
    assert torch.equal(before, other.net.params["ip"][0])


def test_plateaus_are_stored_as_current_step(tmp_path: Path) -> None:
    solver = make(tmp_path, extra='lr_policy: "plateau"')
    solver.plateaus = 3
    _, path = pl.write_snapshot(solver)
    other = make(tmp_path, extra='lr_policy: "plateau"')
    pl.restore_snapshot(other, path)
    assert other.plateaus == 3


def test_snapshots_need_a_prefix(tmp_path: Path) -> None:
    with pytest.raises(SolverError, match="no snapshot_prefix"):
        pl.write_snapshot(make(tmp_path, extra='snapshot_prefix: ""'))


SHARED = """
layer { name: "data" type: "Input" top: "x" top: "label" input_param { shape { dim: 4 dim: 6 } shape { dim: 4 } } }
layer { name: "n1" type: "BatchNorm" bottom: "x" top: "n1" param { name: "m" lr_mult: 0 } param { name: "v" lr_mult: 0 }
  param { name: "s" lr_mult: 0 } }
layer { name: "a" type: "InnerProduct" bottom: "n1" top: "a" param { name: "w" }
  inner_product_param { num_output: 3 bias_term: false weight_filler { type: "xavier" } } }
layer { name: "b" type: "InnerProduct" bottom: "n1" top: "b" param { name: "w" share_mode: PERMISSIVE }
  inner_product_param { num_output: 3 transpose: true bias_term: false } }
layer { name: "sum" type: "Eltwise" bottom: "a" bottom: "b" top: "sum" }
layer { name: "n2" type: "BatchNorm" bottom: "n1" top: "n2" param { name: "m" lr_mult: 0 }
  param { name: "v" lr_mult: 0 } param { name: "s" lr_mult: 0 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "sum" bottom: "label" top: "loss" }
"""


def test_a_shared_parameter_has_one_history(tmp_path: Path) -> None:
    text = f'base_lr: 0.1 lr_policy: "fixed" momentum: 0.9 snapshot_prefix: "{tmp_path}/shared"'
    solver = pl.Solver(pl.parse_solver(text), pl.Net(pl.parse_net(SHARED), phase="TRAIN"))
    solver.step(solver.net.total_loss(solver.net(torch.randn(4, 6), torch.tensor([0, 1, 2, 0]))))
    _, path = pl.write_snapshot(solver)
    shapes = [tuple(blob.shape.dim) for blob in pl.read_solver_state(path).history]
    assert shapes == [(6,), (6,), (1,), (3, 6)]
    pl.restore_snapshot(solver, path)


def test_an_iteration_below_0_is_rejected(tmp_path: Path) -> None:
    solver = make(tmp_path)
    _, path = pl.write_snapshot(solver)
    state = pl.read_solver_state(path)
    state.iter = -1
    pl.write_binary(state, path)
    with pytest.raises(FileError, match="invalid iteration: found -1, expected 0 or more"):
        pl.restore_snapshot(solver, path)
