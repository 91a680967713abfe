from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from prototxt_like.layers import Layer

TEXT = 'type: "Permute" bottom: "x" permute_param { %s }'


@pytest.mark.parametrize(("order", "full"), [((0, 2, 3, 1), (0, 2, 3, 1)), ((3, 1), (3, 1, 0, 2)), ((), (0, 1, 2, 3))])
def test_orders(order: tuple[int, ...], full: tuple[int, ...], make_layer: Callable[..., Layer]) -> None:
    x = torch.randn(2, 3, 7, 5)
    layer = make_layer(TEXT % " ".join(f"order: {axis}" for axis in order), x.shape)
    assert torch.equal(layer(x), x.permute(full))
    assert layer.top_shapes == [tuple(layer(x).shape)]


def test_errors(rejects: Callable[..., None]) -> None:
    rejects(
        r"invalid order: found \[1, 1\], expected axes 0 to 2, each at most once", TEXT % "order: 1 order: 1", (2, 3, 5)
    )
    rejects("expected axes 0 to 2", TEXT % "order: 3", (2, 3, 5))
