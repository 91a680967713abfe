"""Files of a small classifier, as scripts for pycaffe expect them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import prototxt_like as pl

DEPLOY = """
name: "tiny"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 6 dim: 5 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param { num_output: 4 kernel_size: 3
  weight_filler { type: "xavier" } bias_filler { type: "constant" value: 0.1 } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { pool: AVE global_pooling: true } }
layer { name: "fc" type: "InnerProduct" bottom: "pool" top: "fc" inner_product_param { num_output: 3
  weight_filler { type: "xavier" } } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
force_backward: true
"""
TRAIN = """
name: "digits"
layer { name: "data" type: "HDF5Data" top: "data" top: "label" hdf5_data_param { source: "list.txt" batch_size: 8 } }
layer { name: "ip1" type: "InnerProduct" bottom: "data" top: "ip1" inner_product_param { num_output: 6
  weight_filler { type: "xavier" } } }
layer { name: "relu1" type: "ReLU" bottom: "ip1" top: "ip1" }
layer { name: "ip2" type: "InnerProduct" bottom: "ip1" top: "ip2" inner_product_param { num_output: 2
  weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip2" bottom: "label" top: "loss" }
layer { name: "accuracy" type: "Accuracy" bottom: "ip2" bottom: "label" top: "accuracy" include { phase: TEST } }
"""
SOLVER = """
net: "train_val.prototxt" test_iter: 2 test_interval: 100 base_lr: 0.5 momentum: 0.9 lr_policy: "fixed" max_iter: 60
display: 20 snapshot_after_train: false random_seed: 1
"""


@pytest.fixture
def deploy(tmp_path: Path) -> tuple[Path, Path]:
    """deploy.prototxt and its caffemodel."""
    model, weights = tmp_path / "deploy.prototxt", tmp_path / "tiny.caffemodel"
    model.write_text(DEPLOY)
    pl.save_weights(pl.Net(model), weights)
    return model, weights


@pytest.fixture
def solver_file(tmp_path: Path) -> Path:
    """solver.prototxt of a separable problem, with its net and data."""
    h5py = pytest.importorskip("h5py")
    random = np.random.default_rng(3)
    data = random.normal(size=(40, 4)).astype(np.float32)
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["data"], file["label"] = data, (data[:, 0] > data[:, 1]).astype(np.float32)
    (tmp_path / "list.txt").write_text("data.h5\n")
    (tmp_path / "train_val.prototxt").write_text(TRAIN)
    path = tmp_path / "solver.prototxt"
    path.write_text(SOLVER + f'snapshot_prefix: "{tmp_path}/snap"')
    return path
