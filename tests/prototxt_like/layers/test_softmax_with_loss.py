from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from prototxt_like.errors import NetError
from prototxt_like.layers import Layer

LAYER = "SoftmaxWithLoss"


def test_equals_caffe(golden_case: Path, check_golden: Callable[..., None]) -> None:
    check_golden(golden_case)


TEXT = 'type: "SoftmaxWithLoss" bottom: "x" bottom: "label" '


def loss_by_hand(scores: np.ndarray, labels: np.ndarray, mode: str, ignore: int | None) -> float:
    """Scores (N, C, H), labels (N, H)."""
    total, valid = 0.0, 0
    for n, h in np.ndindex(*labels.shape):
        if labels[n, h] == ignore:
            continue
        row = scores[n, :, h] - scores[n, :, h].max()
        total -= row[int(labels[n, h])] - np.log(np.exp(row).sum())
        valid += 1
    divisor = {"FULL": labels.size, "VALID": valid, "BATCH_SIZE": len(labels), "NONE": 1}[mode]
    return total / max(1, divisor)


@pytest.mark.parametrize("mode", ["FULL", "VALID", "BATCH_SIZE", "NONE"])
@pytest.mark.parametrize("ignore", [None, 1, -1, 255])
def test_every_normalization(mode: str, ignore: int | None, make_layer: Callable[..., Layer]) -> None:
    scores, labels = torch.randn(4, 3, 5), torch.randint(0, 3, (4, 5)).float()
    if ignore is not None:
        labels[0, :2] = ignore
    ignored = "" if ignore is None else f"ignore_label: {ignore}"
    layer = make_layer(f"{TEXT} loss_param {{ normalization: {mode} {ignored} }}", (4, 3, 5), (4, 5))
    expected = loss_by_hand(scores.double().numpy(), labels.numpy(), mode, ignore)
    assert layer(scores, labels).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("fields", "mode"), [("normalize: true", "VALID"), ("normalize: false", "BATCH_SIZE")])
def test_the_older_field(fields: str, mode: str, make_layer: Callable[..., Layer]) -> None:
    scores, labels = torch.randn(4, 3, 5), torch.randint(0, 3, (4, 5))
    older = make_layer(f"{TEXT} loss_param {{ {fields} }}", (4, 3, 5), (4, 5))
    newer = make_layer(f"{TEXT} loss_param {{ normalization: {mode} }}", (4, 3, 5), (4, 5))
    assert older(scores, labels) == newer(scores, labels)
    both = make_layer(f"{TEXT} loss_param {{ {fields} normalization: NONE }}", (4, 3, 5), (4, 5))
    none = make_layer(f"{TEXT} loss_param {{ normalization: NONE }}", (4, 3, 5), (4, 5))
    assert both(scores, labels) == none(scores, labels)


def test_loss_of_only_ignored_labels_is_0(make_layer: Callable[..., Layer]) -> None:
    layer = make_layer(f"{TEXT} loss_param {{ ignore_label: 1 }}", (4, 3), (4,))
    scores = torch.randn(4, 3, requires_grad=True)
    loss = layer(scores, torch.ones(4))
    loss.backward()
    assert loss.item() == 0
    assert scores.grad is not None
    assert (scores.grad == 0).all()


def test_clamping_keeps_the_gradient(make_layer: Callable[..., Layer]) -> None:
    scores = torch.tensor([[0.0, 1000.0]], requires_grad=True)
    loss = make_layer(TEXT, (1, 2), (1,))(scores, torch.zeros(1))
    loss.backward()
    assert loss.item() == pytest.approx(87.3365, abs=1e-4)
    assert scores.grad is not None
    assert scores.grad.tolist() == [[-1.0, 1.0]]


@pytest.mark.parametrize("axis", [1, 3, -2])
def test_axis_and_the_second_top(axis: int, make_layer: Callable[..., Layer]) -> None:
    shape = (2, 3, 7, 5)
    canonical = axis % 4
    label_shape = shape[:canonical] + shape[canonical + 1 :]
    layer = make_layer(f"{TEXT} softmax_param {{ axis: {axis} }}", shape, label_shape, tops=2)
    scores = torch.randn(shape, requires_grad=True)
    labels = torch.randint(0, shape[canonical], label_shape)
    loss, probabilities = layer(scores, labels)
    torch.testing.assert_close(probabilities, scores.detach().softmax(axis))
    assert not probabilities.requires_grad
    moved = scores.movedim(axis, 1)
    torch.testing.assert_close(loss, torch.nn.functional.cross_entropy(moved, labels))


def test_labels_may_have_axes_of_size_one_and_fractions(make_layer: Callable[..., Layer]) -> None:
    layer = make_layer(TEXT, (4, 3), (4, 1, 1, 1))
    scores = torch.randn(4, 3)
    whole = layer(scores, torch.tensor([0.0, 1, 2, 1]).reshape(4, 1, 1, 1))
    assert layer(scores, torch.tensor([0.9, 1.2, 2.9, 1.0]).reshape(4, 1, 1, 1)) == whole


def test_soft_labels(make_layer: Callable[..., Layer]) -> None:
    scores = torch.randn(4, 3, requires_grad=True)
    soft = make_layer(f"{TEXT} loss_param {{ soft_label: true }}", (4, 3), (4, 3))
    hard = make_layer(TEXT, (4, 3), (4,))
    labels = torch.tensor([2, 0, 1, 1])
    one_hot = torch.nn.functional.one_hot(labels, 3).float()
    torch.testing.assert_close(soft(scores, one_hot), hard(scores, labels))
    mixed = 0.7 * one_hot + 0.1
    soft(scores, mixed).backward()
    assert scores.grad is not None
    torch.testing.assert_close(scores.grad, (scores.softmax(1) - mixed).detach() / 4)


def test_loss_is_float32_under_autocast(make_layer: Callable[..., Layer]) -> None:
    scores, labels = torch.randn(4, 3).bfloat16(), torch.tensor([0, 1, 2, 0])
    with torch.autocast("cpu", torch.bfloat16):
        loss = make_layer(TEXT, (4, 3), (4,))(scores, labels)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, torch.nn.functional.cross_entropy(scores.float(), labels))


def test_a_label_out_of_range_is_reported(make_layer: Callable[..., Layer]) -> None:
    for wrong in (3, -1):
        with pytest.raises(NetError, match=rf'layer "it" .*label {wrong} is outside 0 to 2'):
            make_layer(TEXT, (4, 3), (4,))(torch.randn(4, 3), torch.tensor([0, 1, wrong, 2]))


def test_errors(rejects: Callable[..., None]) -> None:
    rejects("classes on axis 1 need 14 labels, found 6 in 2 x 3 x 1", TEXT, (2, 3, 7), (2, 3, 1))
    rejects("same first axis", TEXT, (2, 3), (3,))
    rejects("axis is 5", f"{TEXT} softmax_param {{ axis: 5 }}", (2, 3), (2,))
    rejects(
        "soft_label does not support ignore_label",
        f"{TEXT} loss_param {{ soft_label: true ignore_label: 1 }}",
        (2, 3),
        (2, 3),
    )
    rejects(
        "soft_label requires labels with the shape of the scores",
        f"{TEXT} loss_param {{ soft_label: true }}",
        (2, 3),
        (2, 4),
    )
