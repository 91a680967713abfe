from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from prototxt_like.layers import Layer

TEXT = 'type: "PriorBox" bottom: "x" bottom: "image" prior_box_param { %s }'
SHAPES = ((1, 8, 2, 3), (1, 3, 40, 60))


def boxes(make_layer: Callable[..., Layer], fields: str) -> torch.Tensor:
    top = make_layer(TEXT % fields, *SHAPES)(torch.empty(SHAPES[0]), torch.empty(SHAPES[1]))
    return top.reshape(2, -1, 4)


def test_one_square_per_cell(make_layer: Callable[..., Layer]) -> None:
    corners, variances = boxes(make_layer, "min_size: 10")
    assert corners.shape == (6, 4)
    # cells are 20 x 20 pixels, the first center is at (10, 10)
    torch.testing.assert_close(corners[0], torch.tensor([5 / 60, 5 / 40, 15 / 60, 15 / 40]))
    torch.testing.assert_close(corners[1], torch.tensor([25 / 60, 5 / 40, 35 / 60, 15 / 40]))
    torch.testing.assert_close(corners[3], torch.tensor([5 / 60, 25 / 40, 15 / 60, 35 / 40]))
    torch.testing.assert_close(variances, torch.full((6, 4), 0.1))


def test_order_of_the_boxes_of_a_cell(make_layer: Callable[..., Layer]) -> None:
    fields = "min_size: 4 min_size: 9 max_size: 16 max_size: 25 aspect_ratio: 4 aspect_ratio: 1"
    corners, _ = boxes(make_layer, fields)
    sizes = (corners[:8, 2:] - corners[:8, :2]) * torch.tensor([60.0, 40])
    expected = [(4, 4), (8, 8), (8, 2), (2, 8), (9, 9), (15, 15), (18, 4.5), (4.5, 18)]
    torch.testing.assert_close(sizes, torch.tensor(expected))
    unflipped, _ = boxes(make_layer, fields + " flip: false")
    assert len(unflipped) == 6 * 6


def test_own_image_step_offset_clip_and_variances(make_layer: Callable[..., Layer]) -> None:
    given = "".join(f" variance: {value}" for value in (0.1, 0.1, 0.2, 0.3))
    fields = f"min_size: 10 img_size: 100 step: 8 offset: 0 clip: true {given}"
    corners, variances = boxes(make_layer, fields)
    torch.testing.assert_close(corners[0], torch.tensor([0, 0, 0.05, 0.05]))
    torch.testing.assert_close(corners[1], torch.tensor([0.03, 0, 0.13, 0.05]))
    torch.testing.assert_close(variances[5], torch.tensor([0.1, 0.1, 0.2, 0.3]))


@pytest.mark.parametrize(
    ("message", "fields"),
    [
        ("min_size must be set, positive and finite, found \\[\\]", ""),
        ("min_size must be .* found \\[nan\\]", "min_size: nan"),
        ("min_size must be .* found \\[4.0, inf\\]", "min_size: 4 min_size: inf"),
        ("every max_size must be .* finite, found \\[inf\\]", "min_size: 4 max_size: inf"),
        ("invalid aspect_ratio: found nan", "min_size: 4 aspect_ratio: nan"),
        ("must be one positive number, or four", "min_size: 4 variance: nan"),
        ("must be positive", "min_size: 4 step: nan"),
        ("1 max_size for 2 min_size", "min_size: 1 min_size: 2 max_size: 4"),
        ("every max_size must be greater", "min_size: 4 max_size: 4"),
        ("must be one positive number, or four", "min_size: 4 variance: 0.1 variance: 0.2"),
        ("img_size and img_h/img_w are both set", "min_size: 4 img_size: 9 img_h: 9"),
        ("step_h and step_w must be set together", "min_size: 4 step_h: 9"),
        ("must be positive", "min_size: 4 step: 0"),
        ("invalid aspect_ratio: found -1", "min_size: 4 aspect_ratio: -1"),
    ],
)
def test_errors(message: str, fields: str, rejects: Callable[..., None]) -> None:
    rejects(message, TEXT % fields, *SHAPES)
