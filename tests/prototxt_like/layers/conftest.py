"""Fixtures of the layer tests: layers from prototxt text, and golden cases of Caffe.

A test that takes ``golden_case`` runs once for every case of the layer type that its module names in ``LAYER``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from prototxt_like.errors import NetError
from prototxt_like.io.files import parse_net
from prototxt_like.layers import Layer, get_layer_class
from prototxt_like.net.net import Net

TOLERANCE = 1e-5  # relative to the largest value of a blob, as the README of the golden cases states
GRADIENT_NOISE = 1e-6  # maximum rounding noise of gradients that are exactly zero in theory


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Use one thread, because the tensors are too small for several."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "golden_case" not in metafunc.fixturenames:
        return
    root = metafunc.config.pluginmanager.get_plugin(str(Path(__file__).parents[2] / "conftest.py"))
    shared = root.shared_folder()
    if shared is None:
        reason = pytest.mark.skip(reason="needs the golden cases: set FER_LMDB_SHARED to their folder")
        metafunc.parametrize("golden_case", [pytest.param(None, marks=reason)], ids=["no-golden-cases"])
        return
    cases = sorted((shared / "golden/caffe/layers").glob(f"{metafunc.module.LAYER}__*.npz"))
    assert cases, f"no golden case of {metafunc.module.LAYER}"
    metafunc.parametrize("golden_case", cases, ids=[case.stem.split("__")[1] for case in cases])


@pytest.fixture
def make_layer() -> Callable[..., Layer]:
    """Build a layer from its fields: ``make_layer('type: "ReLU"', (2, 3), phase="TRAIN")``."""

    def make(text: str, *shapes: tuple[int, ...], phase: str = "TEST", tops: int = 1) -> Layer:
        tops_text = " ".join(f'top: "top{index}"' for index in range(tops))
        message = parse_net(f'layer {{ name: "it" {tops_text} {text} }}').layer[0]
        return get_layer_class(message.type)(message, list(shapes), phase)

    return make


@pytest.fixture
def rejects(make_layer: Callable[..., Layer]) -> Callable[..., None]:
    """Check that building is rejected: ``rejects('kernel .* too large', 'type: "Pooling" ...', (1, 2, 3, 5))``."""

    def check(message: str, text: str, *shapes: tuple[int, ...], tops: int = 1) -> None:
        with pytest.raises(NetError, match=message) as caught:
            make_layer(text, *shapes, tops=tops)
        assert str(caught.value).startswith('layer "it" (')
        assert "\n" not in str(caught.value)

    return check


@pytest.fixture
def check_golden() -> Callable[..., None]:
    """Run a golden case and compare all blobs, gradients and statistics with Caffe's, except those listed."""
    return run_and_compare


def run_and_compare(path: Path, *, but: tuple[str, ...] = ()) -> None:
    with np.load(path) as file:
        case = {key: file[key] for key in file.files}
    net = Net(parse_net(str(case["prototxt"]), path.name), phase=str(case["phase"]))
    for (layer, index), blob in section(case, "w").items():
        with torch.no_grad():
            assert net.params[layer][int(index)].shape == blob.shape
            net.params[layer][int(index)].copy_(blob)
    inputs = {name: blob for (name,), blob in section(case, "in").items()}
    for (name,) in section(case, "din"):
        inputs[name].requires_grad_()
    blobs = net.blobs(**inputs)
    backward(blobs, section(case, "dout"))

    for (name,), expected in {**section(case, "out"), **section(case, "mid")}.items():
        assert_near(blobs[name], expected, f"blob {name}")
    for (name,), expected in section(case, "din").items():
        if f"gradient of {name}" in but:
            continue
        assert_near(gradient(inputs[name]), expected, f"gradient of {name}", GRADIENT_NOISE)
    for (layer, index), expected in section(case, "dw").items():
        assert_near(gradient(net.params[layer][int(index)]), expected, f"gradient of {layer}[{index}]", GRADIENT_NOISE)
    for (layer, index), expected in section(case, "after").items():
        assert_near(net.params[layer][int(index)], expected, f"{layer}[{index}] after")


def section(case: dict[str, np.ndarray], name: str) -> dict[tuple[str, ...], Tensor]:
    """Return the arrays under ``name/``: layer blobs by (layer, index), other blobs by (name,)."""
    found = {}
    for key, value in case.items():
        if key.startswith(f"{name}/"):
            rest = key.removeprefix(f"{name}/")
            parts = tuple(rest.rsplit("/", 1)) if name in ("w", "dw", "after") else (rest,)
            found[parts] = torch.from_numpy(value.copy())
    return found


def backward(blobs: dict[str, Tensor], gradients: dict[tuple[str, ...], Tensor]) -> None:
    tops = [(blobs[name], gradient) for (name,), gradient in gradients.items()]
    tops = [(top, gradient) for top, gradient in tops if top.requires_grad]
    if tops:
        torch.autograd.backward([top for top, _ in tops], [gradient.reshape(top.shape) for top, gradient in tops])


def gradient(tensor: Tensor) -> Tensor:
    return torch.zeros_like(tensor) if tensor.grad is None else tensor.grad


def assert_near(actual: Tensor, expected: Tensor, what: str, noise: float = 0.0) -> None:
    assert actual.shape == expected.shape, f"{what}: shape {tuple(actual.shape)}, Caffe has {tuple(expected.shape)}"
    largest = float(expected[torch.isfinite(expected)].abs().max()) if expected.numel() else 0.0
    torch.testing.assert_close(
        actual.detach().float(), expected, rtol=0, atol=TOLERANCE * largest + noise, msg=lambda text: f"{what}: {text}"
    )
