"""A small net with its own data, and its solver."""

from __future__ import annotations

from pathlib import Path

import pytest

NET = """
name: "tiny"
layer { name: "data" type: "DummyData" top: "data" top: "label" dummy_data_param {
  shape { dim: 4 dim: 3 } shape { dim: 4 } data_filler { type: "gaussian" }
  data_filler { type: "constant" value: 1 } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 2
  weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" loss_weight: 0.5 }
layer { name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "label" top: "accuracy" include { phase: TEST } }
"""
SOLVER = """
net: "net.prototxt" test_iter: 3 test_interval: 2 base_lr: 0.1 lr_policy: "step" gamma: 0.1 stepsize: 2
max_iter: 4 display: 1 snapshot: 2 momentum: 0.9 random_seed: 3 solver_mode: CPU
"""


@pytest.fixture
def solver(tmp_path: Path) -> Path:
    """solver.prototxt beside its net."""
    (tmp_path / "net.prototxt").write_text(NET)
    path = tmp_path / "solver.prototxt"
    path.write_text(SOLVER + f'snapshot_prefix: "{tmp_path}/snaps/tiny"')
    return path
