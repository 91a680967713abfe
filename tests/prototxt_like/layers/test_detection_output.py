from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from prototxt_like.layers import Layer

TEXT = 'type: "DetectionOutput" bottom: "offsets" bottom: "scores" bottom: "priors" detection_output_param { %s }'
PRIORS = torch.tensor([[0.0, 0, 0.4, 0.4], [0.05, 0, 0.45, 0.4], [0.5, 0.5, 0.9, 0.9], [0.5, 0.5, 0.9, 0.7]])
HALF_WIDTH, HALF_HEIGHT = 0.2 * math.exp(0.3), 0.2 * math.exp(0.4)


def detect(
    make_layer: Callable[..., Layer], fields: str, scores: list[list[float]], offsets: torch.Tensor | None = None
) -> torch.Tensor:
    """Scores of classes 1 ... for four priors; class 0 is the background."""
    by_class = torch.tensor([[0.0] * 4, *scores])
    classes = len(by_class)
    offsets = torch.zeros(1, 16) if offsets is None else offsets
    priors = torch.stack([PRIORS.flatten(), torch.full((16,), 0.1)])[None]
    layer = make_layer(TEXT % f"num_classes: {classes} {fields}", offsets.shape, (1, 4 * classes), (1, 2, 16))
    return layer(offsets, by_class.T.reshape(1, -1), priors)[0, 0]


def test_the_weaker_of_two_overlapping_boxes_is_suppressed(make_layer: Callable[..., Layer]) -> None:
    rows = detect(make_layer, "nms_param { nms_threshold: 0.45 }", [[0.6, 0.9, 0.3, 0.2]])
    assert rows[:, 2].tolist() == pytest.approx([0.9, 0.2 + 0.1])
    torch.testing.assert_close(rows[:, 3:], PRIORS[[1, 2]])
    assert rows[:, :2].tolist() == [[0, 1], [0, 1]]


@pytest.mark.parametrize(("threshold", "count"), [(0.4, 2), (0.6, 3), (0.9, 4)])
def test_threshold_of_the_overlap(threshold: float, count: int, make_layer: Callable[..., Layer]) -> None:
    """The first two overlap by 7/9, the last two by 1/2."""
    rows = detect(make_layer, f"nms_param {{ nms_threshold: {threshold} }}", [[0.6, 0.9, 0.3, 0.2]])
    assert len(rows) == count


def test_eta_lowers_the_threshold(make_layer: Callable[..., Layer]) -> None:
    """0.9, then 0.9 * 0.8 = 0.72 < 7/9, then 0.576, then 0.46 < 1/2."""
    rows = detect(make_layer, "nms_param { nms_threshold: 0.9 eta: 0.8 }", [[0.8, 0.9, 0.3, 0.2]])
    assert rows[:, 2].tolist() == pytest.approx([0.9, 0.3, 0.2])
    rows = detect(make_layer, "nms_param { nms_threshold: 0.9 eta: 0.7 }", [[0.8, 0.9, 0.3, 0.2]])
    assert rows[:, 2].tolist() == pytest.approx([0.9, 0.3])


def test_top_k_and_least_score(make_layer: Callable[..., Layer]) -> None:
    few = "nms_param { nms_threshold: 0.9 top_k: 2 }"
    assert detect(make_layer, few, [[0.6, 0.9, 0.3, 0.2]])[:, 2].tolist() == pytest.approx([0.9, 0.6])
    high = "nms_param { nms_threshold: 0.9 } confidence_threshold: 0.3"
    assert detect(make_layer, high, [[0.6, 0.9, 0.3, 0.2]])[:, 2].tolist() == pytest.approx([0.9, 0.6])


def test_keep_top_k_over_all_classes(make_layer: Callable[..., Layer]) -> None:
    fields = "nms_param { nms_threshold: 0.9 } keep_top_k: 3"
    rows = detect(make_layer, fields, [[0.1, 0.8, 0.2, 0.3], [0.7, 0.4, 0.9, 0.5]])
    assert rows[:, 1].tolist() == [1, 2, 2]
    assert rows[:, 2].tolist() == pytest.approx([0.8, 0.9, 0.7])


def test_no_background(make_layer: Callable[..., Layer]) -> None:
    rows = detect(make_layer, "background_label_id: -1 nms_param { nms_threshold: 0.9 }", [[0.1, 0.8, 0.2, 0.3]])
    assert sorted(set(rows[:, 1].tolist())) == [0, 1]


def test_separate_boxes_per_class(make_layer: Callable[..., Layer]) -> None:
    offsets = torch.zeros(4, 2, 4)
    offsets[:, 1] = 1.0
    rows = detect(
        make_layer,
        "share_location: false nms_param { nms_threshold: 1 }",
        [[0.9, 0.8, 0.7, 0.6]],
        offsets.reshape(1, -1),
    )
    torch.testing.assert_close(rows[:, 3:], PRIORS + 0.1)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("CORNER", [0.1, 0.2, 0.7, 0.8]),
        ("CORNER_SIZE", [0.04, 0.08, 0.52, 0.56]),
        ("CENTER_SIZE", [0.24 - HALF_WIDTH, 0.28 - HALF_HEIGHT, 0.24 + HALF_WIDTH, 0.28 + HALF_HEIGHT]),
    ],
)
@pytest.mark.parametrize("in_target", [True, False])
def test_codes(code: str, expected: list[float], in_target: bool, make_layer: Callable[..., Layer]) -> None:
    offsets = torch.zeros(4, 4)
    offsets[0] = torch.tensor([1.0, 2, 3, 4]) * (0.1 if in_target else 1)
    fields = f"code_type: {code} variance_encoded_in_target: {str(in_target).lower()} confidence_threshold: 0.5"
    rows = detect(make_layer, fields, [[0.9, 0, 0, 0]], offsets.reshape(1, -1))
    assert rows[0, 3:].tolist() == pytest.approx(expected, abs=1e-6)


def test_no_detections(make_layer: Callable[..., Layer]) -> None:
    layer = make_layer(TEXT % "num_classes: 2 confidence_threshold: 2", (3, 16), (3, 8), (1, 2, 16))
    priors = torch.stack([PRIORS.flatten(), torch.full((16,), 0.1)])[None]
    top = layer(torch.zeros(3, 16), torch.rand(3, 8), priors)
    assert top.tolist() == [[[[image] + [-1] * 6 for image in range(3)]]]


def test_a_fourth_bottom_has_no_effect(make_layer: Callable[..., Layer]) -> None:
    shapes = ((1, 16), (1, 8), (1, 2, 16), (1, 3, 9, 9))
    layer = make_layer(TEXT % "num_classes: 2", *shapes)
    bottoms = [torch.rand(shape) for shape in shapes]
    assert torch.equal(layer(*bottoms), layer(*bottoms[:3]))


def test_errors(rejects: Callable[..., None]) -> None:
    shapes = ((1, 16), (1, 8), (1, 2, 16))
    rejects("num_classes must be set", TEXT % "", *shapes)
    rejects("invalid nms_threshold: found -1", TEXT % "num_classes: 2 nms_param { nms_threshold: -1 }", *shapes)
    rejects("invalid eta: found 0", TEXT % "num_classes: 2 nms_param { eta: 0 }", *shapes)
    rejects(r"bottom 2 \(priors\) must be 1 x 2 x 4", TEXT % "num_classes: 2", (1, 16), (1, 8), (1, 16))
    rejects("bottom 0 must be 1 x 16", TEXT % "num_classes: 2", (1, 12), (1, 8), (1, 2, 16))
    rejects("bottom 1 must be 1 x 12", TEXT % "num_classes: 3", *shapes)


def test_output_files_are_not_written(make_layer: Callable[..., Layer]) -> None:
    save = 'num_classes: 2 nms_param { nms_threshold: 0.4 } save_output_param { output_directory: "x" }'
    layer = make_layer(TEXT % save, (1, 16), (1, 8), (1, 2, 16))
    assert layer.notes == ["save_output_param and visualize are ignored, because net files must not write files"]
