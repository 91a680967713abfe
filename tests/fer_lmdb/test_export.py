from __future__ import annotations

import numpy as np
import pytest
import torch

import prototxt_like as pl
from fer_lmdb import models
from fer_lmdb.dataset import DataSet
from fer_lmdb.errors import ModelError
from fer_lmdb.evaluate import evaluate
from fer_lmdb.export import export


def test_caffes_files_give_the_models_probabilities(trained, stripes_data, tmp_path):
    files = export(trained.run.path, "caffe", tmp_path)
    assert [path.name for path in files] == ["deploy.prototxt", "small_net.caffemodel", "mean.binaryproto"]
    faces = DataSet.open(stripes_data).read("val").images
    net = pl.Net(tmp_path / "deploy.prototxt", tmp_path / "small_net.caffemodel")
    data = (faces - pl.read_mean(tmp_path / "mean.binaryproto"))[..., 3:45, 3:45].astype(np.float32)
    with torch.no_grad():
        (found,) = net(data=torch.from_numpy(data)).values()
    expected = models.load(trained.run.path).classifier().probabilities(faces)
    assert np.allclose(found.numpy(), expected, atol=1e-5)


def test_the_half_sized_file_carries_the_runs_figures(trained, stripes_data, tmp_path):
    figures = evaluate([trained.run.path], stripes_data, "test")
    export(trained.run.path, "safetensors", tmp_path / "m.safetensors")
    half = models.load(tmp_path / "m.safetensors")
    assert figures in half.facts["figures"]
    assert half.weights["fc1/0"].dtype == torch.float16
    again = evaluate([tmp_path / "m.safetensors"], stripes_data, "test")
    assert again["accuracy"] == pytest.approx(figures["accuracy"], abs=0.04)


def test_an_unknown_format_lists_those_there_are(trained, tmp_path):
    with pytest.raises(ModelError, match="safetensors, caffe"):
        export(trained.run.path, "pickle", tmp_path)
