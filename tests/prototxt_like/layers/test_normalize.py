from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from prototxt_like.layers import Layer

TEXT = 'type: "Normalize" bottom: "x" norm_param { %s }'


@pytest.mark.parametrize("across", [True, False])
@pytest.mark.parametrize("shared", [True, False])
def test_norms(across: bool, shared: bool, make_layer: Callable[..., Layer]) -> None:
    fields = f"across_spatial: {str(across).lower()} channel_shared: {str(shared).lower()}"
    layer = make_layer(TEXT % (fields + ' scale_filler { type: "uniform" min: 1 max: 2 }'), (2, 3, 7, 5))
    x = torch.randn(2, 3, 7, 5)
    axes = (1, 2, 3) if across else (1,)
    scale = layer.blobs[0] if shared else layer.blobs[0][:, None, None]
    assert layer.blobs[0].shape == (() if shared else (3,))
    torch.testing.assert_close(layer(x), x / (x**2).sum(axes, keepdim=True).sqrt() * scale)


def test_zeros_stay_zeros(make_layer: Callable[..., Layer]) -> None:
    layer = make_layer(TEXT % "", (2, 3, 7, 5))
    assert layer.blobs[0].item() == 1
    assert (layer(torch.zeros(2, 3, 7, 5)) == 0).all()


def test_errors(rejects: Callable[..., None]) -> None:
    rejects("at least 2 axes", TEXT % "", (5,))
