from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from prototxt_like.errors import NetError
from prototxt_like.layers import Layer

LAYER = "Accuracy"


def test_equals_caffe(golden_case: Path, check_golden: Callable[..., None]) -> None:
    check_golden(golden_case)


TEXT = 'type: "Accuracy" bottom: "x" bottom: "label" '


def accuracy_by_hand(
    scores: np.ndarray, labels: np.ndarray, top_k: int, ignore: int | None
) -> tuple[float, list[float]]:
    """Return accuracy and accuracy per class of scores (N, C, H) and labels (N, H); a tie counts as wrong."""
    classes = scores.shape[1]
    right, seen = np.zeros(classes), np.zeros(classes)
    for n, h in np.ndindex(*labels.shape):
        label = int(labels[n, h])
        if label == ignore:
            continue
        row = scores[n, :, h]
        better = sum(row[c] >= row[label] for c in range(classes) if c != label)
        right[label] += better < top_k
        seen[label] += 1
    return right.sum() / max(1, seen.sum()), list(right / np.maximum(seen, 1))


@pytest.mark.parametrize("top_k", [1, 2, 4])
@pytest.mark.parametrize("ignore", [None, 2, 255])
def test_against_loops(top_k: int, ignore: int | None, make_layer: Callable[..., Layer]) -> None:
    scores = torch.randint(0, 4, (6, 4, 5)).float()  # few values: many ties
    labels = torch.randint(0, 3, (6, 5)).float()
    if ignore is not None:
        labels[1] = ignore
    ignored = "" if ignore is None else f"ignore_label: {ignore}"
    layer = make_layer(f"{TEXT} accuracy_param {{ top_k: {top_k} {ignored} }}", (6, 4, 5), (6, 5), tops=2)
    share, per_class = layer(scores, labels)
    expected, expected_per_class = accuracy_by_hand(scores.numpy(), labels.numpy(), top_k, ignore)
    assert share.item() == pytest.approx(expected)
    assert per_class.tolist() == pytest.approx(expected_per_class)


def test_only_ignored_labels_give_zero(make_layer: Callable[..., Layer]) -> None:
    layer = make_layer(f"{TEXT} accuracy_param {{ ignore_label: 1 }}", (4, 3), (4,))
    assert layer(torch.randn(4, 3), torch.ones(4)).item() == 0


def test_axis(make_layer: Callable[..., Layer]) -> None:
    layer = make_layer(f"{TEXT} accuracy_param {{ axis: -1 }}", (4, 5, 3), (4, 5))
    scores = torch.randn(4, 5, 3)
    assert layer(scores, scores.argmax(-1)).item() == 1


def test_nan_scores_are_an_error(make_layer: Callable[..., Layer]) -> None:
    with pytest.raises(NetError, match="invalid scores: found NaN"):
        make_layer(TEXT, (4, 3), (4,))(torch.full((4, 3), float("nan")), torch.zeros(4))


def test_a_row_of_nan_is_wrong_without_the_check(make_layer: Callable[..., Layer]) -> None:
    layer = make_layer(TEXT, (2, 3), (2,))
    compiled = torch.compile(layer, backend="eager", fullgraph=True)
    scores = torch.tensor([[float("nan")] * 3, [1.0, 0, 0]])
    assert compiled(scores, torch.zeros(2)).item() == 0.5


def test_errors(rejects: Callable[..., None]) -> None:
    rejects("invalid top_k: found 4, expected 1 to 3", f"{TEXT} accuracy_param {{ top_k: 4 }}", (2, 3), (2,))
    rejects("invalid top_k: found 0", f"{TEXT} accuracy_param {{ top_k: 0 }}", (2, 3), (2,))
    rejects("need 10 labels, found 2", TEXT, (2, 3, 5), (2,))
