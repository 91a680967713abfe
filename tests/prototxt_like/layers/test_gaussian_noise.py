from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from prototxt_like.layers import Layer

TEXT = 'type: "GaussianNoise" bottom: "x" gaussian_noise_param { std: %s }'


def test_train_adds_noise(make_layer: Callable[..., Layer]) -> None:
    torch.manual_seed(4)
    noise = make_layer(TEXT % 0.5, (100, 1000), phase="TRAIN")(torch.full((100, 1000), 3.0)) - 3
    assert noise.mean().item() == pytest.approx(0, abs=0.01)
    assert noise.std().item() == pytest.approx(0.5, rel=0.01)


def test_test_phase_is_the_identity(make_layer: Callable[..., Layer]) -> None:
    x = torch.randn(2, 3)
    assert torch.equal(make_layer(TEXT % 0.5, (2, 3))(x), x)


def test_errors(rejects: Callable[..., None]) -> None:
    rejects("invalid std: found", TEXT % -1, (2, 3))
