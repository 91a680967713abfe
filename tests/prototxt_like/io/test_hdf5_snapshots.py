"""Tests of weights and solver states as HDF5: Caffe's layout, resuming, damaged files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import prototxt_like as pl
from tests.prototxt_like.solver.test_snapshot import TYPES, make, train

h5py = pytest.importorskip("h5py")


@pytest.mark.parametrize("name", TYPES)
def test_resume_from_an_hdf5_snapshot(tmp_path: Path, name: str) -> None:
    whole = make(tmp_path, name, extra="snapshot_format: HDF5")
    train(whole, range(3))
    model, state = pl.write_snapshot(whole)
    assert (model.name, state.name) == ("net_iter_3.caffemodel.h5", "net_iter_3.solverstate.h5")
    resumed = make(tmp_path, name, seed=2)
    pl.restore_snapshot(resumed, state)
    assert resumed.iteration == 3
    train(whole, range(3, 6))
    train(resumed, range(3, 6))
    for layer, blobs in whole.net.params.items():
        for a, b in zip(blobs, resumed.net.params[layer], strict=True):
            torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-7)


def test_layout_is_that_of_caffe(tmp_path: Path) -> None:
    solver = make(tmp_path, extra="snapshot_format: HDF5")
    train(solver, range(3))
    model, state = pl.write_snapshot(solver)
    with h5py.File(model) as file:
        assert list(file) == ["data"] and set(file["data"]) == {"data", "label", "conv", "bn", "ip", "loss"}
        assert set(file["data/conv"]) == {"0", "1"} and len(file["data/loss"]) == 0
        np.testing.assert_array_equal(file["data/ip/0"][()], solver.net.params["ip"][0].detach().numpy())
        assert file["data/ip/0"].dtype == np.float32
    with h5py.File(state) as file:
        assert file["iter"].shape == (1,) and file["iter"].dtype == np.int32 and file["iter"][0] == 3
        assert file["current_step"][0] == 1 and len(file["history"]) == 7
        text = str(model).encode()
        assert file["learned_net"].dtype == f"S{len(text) + 1}"  # Caffe reads a string that ends with a zero byte
        assert file["learned_net"].id.get_type().get_strpad() in (h5py.h5t.STR_NULLPAD, h5py.h5t.STR_NULLTERM)
        assert file["learned_net"][()] == text


def nested() -> pl.NetParameter:
    net = pl.NetParameter()
    for name, values in (("conv1", [1.0, 2.0]), ("conv1/bn", [3.0]), ("a/b/c", [4.0])):
        layer = net.layer.add(name=name)
        layer.blobs.extend(pl.array_to_blob(np.full((2, 3), value, np.float32)) for value in values)
    return net


def test_names_with_slashes_are_nested_groups(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from prototxt_like.io.hdf5_snapshots import write_hdf5_weights

    write_hdf5_weights(nested(), tmp_path / "w.caffemodel.h5")
    (line,) = capfd.readouterr().err.splitlines()
    assert 'Caffe cannot load HDF5 weights of layers with "/", e.g. conv1/bn' in line
    with h5py.File(tmp_path / "w.caffemodel.h5") as file:
        assert set(file["data/conv1"]) == {"0", "1", "bn"}
    read = pl.read_net(tmp_path / "w.caffemodel.h5")
    assert {layer.name: len(layer.blobs) for layer in read.layer} == {"conv1": 2, "conv1/bn": 1, "a/b/c": 1}


def test_external_links_are_not_followed(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["layer/0"] = np.ones(3, np.float32)
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file.create_group("data")["ip"] = h5py.ExternalLink("secret.h5", "layer")
    assert not pl.read_net(tmp_path / "w.h5").layer


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ({"other/ip/0": [1.0]}, "no weights: found other, expected the group data"),
        ({"data/ip/1": [1.0]}, 'layer "ip" lacks blob 0; found 1'),
        ({"data/ip/0": np.array([b"text"])}, "/data/ip/0 is not a dataset of numbers"),
    ],
)
def test_unexpected_contents(tmp_path: Path, contents: dict[str, object], message: str) -> None:
    with h5py.File(tmp_path / "w.h5", "w") as file:
        for name, values in contents.items():
            file[name] = values
    with pytest.raises(pl.FileError) as caught:
        pl.read_net(tmp_path / "w.h5")
    assert message in str(caught.value)


def test_solver_state_without_iteration(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "s.h5", "w") as file:
        file["history/0"] = [1.0]
    with pytest.raises(pl.FileError, match="not a solver state: iter is missing"):
        pl.read_solver_state(tmp_path / "s.h5")
