"""Tests of pycaffe's Net: live arrays, partial passes, gradients, reshaping, surgery."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import prototxt_like as pl
from prototxt_like import pycaffe as caffe

Files = tuple[Path, Path]


def image(count: int = 2) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(count, 3, 6, 5)).astype(np.float32)


def test_forward_equals_the_torch_net(deploy: Files) -> None:
    net = caffe.Net(str(deploy[0]), caffe.TEST, weights=str(deploy[1]))
    expected = pl.Net(*deploy)(data=torch.from_numpy(image()))["prob"].detach().numpy()
    np.testing.assert_allclose(net.forward(data=image())["prob"], expected, rtol=1e-6)
    older = caffe.Net(str(deploy[0]), str(deploy[1]), caffe.TEST)
    np.testing.assert_array_equal(older.forward(data=image())["prob"], net.blobs["prob"].data)


def test_arrays_are_live(deploy: Files) -> None:
    net = caffe.Net(str(deploy[0]), caffe.TEST)
    data, prob = net.blobs["data"].data, net.blobs["prob"].data
    data[...] = image()
    net.forward()
    before = prob.copy()
    assert before.sum() == pytest.approx(2)
    net.params["fc"][1].data[0] += 100
    net.forward()
    np.testing.assert_allclose(prob, [[1, 0, 0]] * 2, atol=1e-6)
    assert net.params["fc"][0].data is not None and net.params["fc"][0].shape == (3, 4)


def test_structure(deploy: Files) -> None:
    net = caffe.Net(str(deploy[0]), caffe.TEST)
    assert list(net.blobs) == ["data", "conv", "pool", "fc", "prob"]
    assert net.inputs == ["data"] and net.outputs == ["prob"]
    assert [layer.type for layer in net.layers][:3] == ["Input", "Convolution", "ReLU"]
    assert [len(layer.blobs) for layer in net.layers] == [0, 2, 0, 0, 2, 0]
    assert list(net._layer_names) == ["data", "conv", "relu", "pool", "fc", "prob"]
    assert {name: [blob.data.shape for blob in blobs] for name, blobs in net.params.items()} == {
        "conv": [(4, 3, 3, 3), (4,)],
        "fc": [(3, 4), (3,)],
    }
    assert net.top_names["relu"] == net.bottom_names["relu"] == ["conv"]
    assert net.layer_dict["fc"].blobs[1].count == 3
    blob = net.blobs["data"]
    assert (blob.num, blob.channels, blob.height, blob.width, blob.count) == (2, 3, 6, 5, 180)
    assert net.blobs["fc"].width == 1


def test_start_and_end(deploy: Files) -> None:
    net = caffe.Net(str(deploy[0]), caffe.TEST)
    net.blobs["data"].data[...] = image()
    assert list(net.forward(end="conv")) == ["conv"]
    assert net.blobs["conv"].data.min() < 0  # before the ReLU in place
    net.forward(start="relu")
    assert net.blobs["conv"].data.min() == 0
    net.blobs["fc"].data[...] = 0
    np.testing.assert_allclose(net.forward(start="prob")["prob"], 1 / 3, rtol=1e-6)
    assert set(net.forward(blobs=["pool"])) == {"prob", "pool"}


def test_backward_equals_autograd(deploy: Files) -> None:
    net = caffe.Net(str(deploy[0]), caffe.TEST, weights=str(deploy[1]))
    net.forward(data=image())
    net.blobs["fc"].diff[...] = 0
    net.blobs["fc"].diff[:, 1] = 1
    found = net.backward(start="fc")["data"]
    torch_net = pl.Net(*deploy)
    x = torch.from_numpy(image()).requires_grad_()
    torch_net.blobs(data=x)["fc"][:, 1].sum().backward()
    assert x.grad is not None
    np.testing.assert_allclose(found, x.grad.numpy(), rtol=1e-5, atol=1e-7)
    gradient = torch_net.params["conv"][0].grad
    assert gradient is not None
    np.testing.assert_allclose(net.params["conv"][0].diff, gradient.numpy(), rtol=1e-5, atol=1e-7)
    net.backward(start="fc")
    np.testing.assert_allclose(net.params["conv"][0].diff, 2 * gradient.numpy(), rtol=1e-5, atol=1e-7)
    net.clear_param_diffs()
    assert not net.params["conv"][0].diff.any()
    probabilities = net.backward(prob=np.ones((2, 3), np.float32), diffs=["conv"])
    assert set(probabilities) == {"data", "conv"} and np.abs(probabilities["data"]).max() < 1e-6


def test_gradients_of_several_readers_are_added(tmp_path: Path) -> None:
    path = tmp_path / "net.prototxt"
    path.write_text(
        'force_backward: true layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 3 } } }'
        'layer { name: "a" type: "Power" bottom: "x" top: "a" power_param { scale: 2 } }'
        'layer { name: "b" type: "Power" bottom: "x" top: "b" power_param { scale: 5 } }'
        'layer { name: "c" type: "Eltwise" bottom: "a" bottom: "b" top: "c" }'
    )
    net = caffe.Net(str(path), caffe.TEST)
    net.forward(x=np.ones(3))
    for _ in range(2):
        assert net.backward(c=np.ones(3))["x"].tolist() == [7, 7, 7]


def test_reshape_of_the_input(deploy: Files) -> None:
    net = caffe.Net(str(deploy[0]), caffe.TEST, weights=str(deploy[1]))
    weights = net.params["conv"][0].data
    net.blobs["data"].reshape(1, 3, 9, 8)
    net.reshape()
    assert net.blobs["conv"].data.shape == (1, 4, 7, 6)
    assert np.shares_memory(weights, net.params["conv"][0].data)
    wide = np.random.default_rng(2).normal(size=(1, 3, 9, 8)).astype(np.float32)
    shapes = {"data": wide.shape}
    expected = pl.Net(*deploy, input_shapes=shapes)(data=torch.from_numpy(wide))["prob"].detach().numpy()
    np.testing.assert_allclose(net.forward(data=wide)["prob"], expected, rtol=1e-6)
    net.blobs["data"].reshape(4, 3, 6, 5)
    assert net.forward(data=image(4))["prob"].shape == (4, 3)  # without reshape(), as in Caffe


def test_forward_all_pads_the_last_batch(deploy: Files) -> None:
    net = caffe.Net(str(deploy[0]), caffe.TEST)
    found = net.forward_all(data=image(5), blobs=["pool"])
    assert found["prob"].shape == (5, 3) and found["pool"].shape == (5, 4, 1, 1)
    np.testing.assert_allclose(found["prob"][:2], net.forward(data=image(5)[:2])["prob"], rtol=1e-6)
    blobs, diffs = net.forward_backward_all(data=image(3), prob=np.ones((3, 3), np.float32))
    assert blobs["prob"].shape == (3, 3) and diffs["data"].shape == (3, 3, 6, 5)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"dta": image()}, "do not match net inputs: found dta, expected data"),
        ({"data": image(3)}, "data is not batch sized: found 3, expected 2"),
    ],
)
def test_wrong_inputs(deploy: Files, inputs: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        caffe.Net(str(deploy[0]), caffe.TEST).forward(**inputs)


def test_save_copy_and_share(deploy: Files, tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    first, second = (caffe.Net(str(deploy[0]), caffe.TEST) for _ in range(2))
    first.save(str(tmp_path / "a.caffemodel"))
    first.save_hdf5(str(tmp_path / "a.h5"))
    for name, load in (("a.caffemodel", second.copy_from), ("a.h5", second.load_hdf5)):
        second.params["fc"][0].data[...] = 0
        load(str(tmp_path / name))
        np.testing.assert_array_equal(second.params["fc"][0].data, first.params["fc"][0].data)
    second.share_with(first)
    first.params["fc"][0].data[...] = 7
    assert (second.params["fc"][0].data == 7).all()


def test_callbacks_and_memory_data(tmp_path: Path) -> None:
    path = tmp_path / "net.prototxt"
    path.write_text(
        'layer { name: "d" type: "MemoryData" top: "d" top: "l" memory_data_param { batch_size: 2 channels: 1 '
        'height: 1 width: 1 } } layer { name: "s" type: "Eltwise" bottom: "d" bottom: "d" top: "s" }'
        'layer { name: "q" type: "Silence" bottom: "l" }'
    )
    net = caffe.Net(str(path), caffe.TEST)
    calls: list[tuple[str, int]] = []
    net.before_forward(lambda index: calls.append(("before", index)))
    net.after_forward(lambda index: calls.append(("after", index)))
    net.set_input_arrays(np.arange(4, dtype=np.float32).reshape(4, 1, 1, 1), np.arange(4, dtype=np.float32))
    sums = [net.forward()["s"].flatten().tolist() for _ in range(3)]
    assert sums == [[0, 2], [4, 6], [0, 2]]
    assert calls[:4] == [("before", 0), ("after", 0), ("before", 1), ("after", 1)]
