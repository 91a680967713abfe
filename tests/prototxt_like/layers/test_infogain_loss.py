from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from prototxt_like.io.blobs import array_to_blob
from prototxt_like.io.files import write_binary, write_mean
from prototxt_like.layers import Layer

LAYER = "InfogainLoss"


def test_equals_caffe(golden_case: Path, check_golden: Callable[..., None]) -> None:
    check_golden(golden_case)


TEXT = 'type: "InfogainLoss" bottom: "x" bottom: "label" %s'
CLASSES = 3


@pytest.fixture
def matrix(tmp_path: Path) -> tuple[str, np.ndarray]:
    """Return a file with H in the old layout, and its values."""
    values = np.random.default_rng(1).random((1, CLASSES, CLASSES)).astype(np.float32)
    write_mean(values, tmp_path / "h.binaryproto")
    return str(tmp_path / "h.binaryproto"), values[0]


def test_from_a_file(matrix: tuple[str, np.ndarray], make_layer: Callable[..., Layer]) -> None:
    path, values = matrix
    layer = make_layer(TEXT % f'infogain_loss_param {{ source: "{path}" }}', (4, 3, 5), (4, 5))
    scores, labels = torch.randn(4, 3, 5, requires_grad=True), torch.randint(0, 3, (4, 5))
    logs = scores.log_softmax(1).movedim(1, -1)
    expected = -(torch.from_numpy(values)[labels] * logs).sum() / 20
    torch.testing.assert_close(layer(scores, labels), expected)
    assert layer.state_dict() == {}


@pytest.mark.parametrize("shape", [(3, 3), (3, 3, 1, 1), (9,)])
def test_a_file_with_any_shape(shape: tuple[int, ...], tmp_path: Path, make_layer: Callable[..., Layer]) -> None:
    values = np.arange(9, dtype=np.float32)
    write_binary(array_to_blob(values.reshape(shape)), tmp_path / "h")
    layer = make_layer(TEXT % f'infogain_loss_param {{ source: "{tmp_path}/h" }}', (4, 3), (4,))
    assert layer.matrix.tolist() == values.reshape(3, 3).tolist()


def test_the_identity_matrix_gives_softmax_with_loss(make_layer: Callable[..., Layer]) -> None:
    shapes = ((4, 3), (4,), (3, 3))
    infogain = make_layer(TEXT % 'bottom: "H" loss_param { ignore_label: 1 }', *shapes, tops=2)
    softmax = make_layer(
        'type: "SoftmaxWithLoss" bottom: "x" bottom: "label" loss_param { ignore_label: 1 }', *shapes[:2]
    )
    scores, labels = torch.randn(4, 3, requires_grad=True), torch.tensor([0, 1, 2, 2])
    loss, probabilities = infogain(scores, labels, torch.eye(3))
    torch.testing.assert_close(loss, softmax(scores, labels))
    torch.testing.assert_close(probabilities, scores.detach().softmax(1))


def test_floor_of_the_probabilities(make_layer: Callable[..., Layer]) -> None:
    layer = make_layer(TEXT % 'bottom: "H"', (1, 2), (1,), (2, 2))
    scores = torch.tensor([[0.0, 1000.0]], requires_grad=True)
    loss = layer(scores, torch.zeros(1), torch.eye(2))
    loss.backward()
    assert loss.item() == pytest.approx(-math.log(1e-20), rel=1e-5)
    assert scores.grad is not None
    assert scores.grad.tolist() == [[-1, 1]]


def test_errors(matrix: tuple[str, np.ndarray], rejects: Callable[..., None], tmp_path: Path) -> None:
    source = f'infogain_loss_param {{ source: "{matrix[0]}" }}'
    rejects("the matrix H is missing", TEXT % "", (4, 3), (4,))
    rejects("H must have 4 x 4 values, found 1 x 1 x 3 x 3", TEXT % source, (2, 4), (2,))
    rejects("H must have 3 x 3 values, found 3 x 2", TEXT % 'bottom: "H"', (2, 3), (2,), (3, 2))
    rejects("normalize is not supported", TEXT % f"{source} loss_param {{ normalize: true }}", (2, 3), (2,))
    missing = tmp_path / "missing.binaryproto"
    rejects("missing.binaryproto", TEXT % f'infogain_loss_param {{ source: "{missing}" }}', (2, 3), (2,))
