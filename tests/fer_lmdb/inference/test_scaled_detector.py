"""Minimum face sizes that scale with the image."""

from __future__ import annotations

import pytest

from fer_lmdb.inference.scaled_detector import quantized_min_face


def test_the_minimum_face_size_grows_with_the_image_in_steps() -> None:
    assert quantized_min_face(16, 20) == 20
    assert quantized_min_face(1.5, 20) == 20
    assert quantized_min_face(30, 20) == pytest.approx(28.28, abs=0.01)
    assert quantized_min_face(125, 20) == pytest.approx(113.1, abs=0.1)
    assert quantized_min_face(22, 40) == 40
