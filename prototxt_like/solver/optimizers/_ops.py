"""In-place operations shared by the update rules, rounded as in Caffe."""

from __future__ import annotations

import torch
from torch import Tensor


def average(means: list[Tensor], values: list[Tensor] | tuple[Tensor, ...], decay: float) -> None:
    """Compute mean = decay * mean + (1 - decay) * value, in place."""
    torch._foreach_mul_(means, decay)
    torch._foreach_add_(means, values, alpha=1 - decay)


def divide_by_root(values: list[Tensor], squares: list[Tensor], delta: float) -> None:
    """Compute value /= sqrt(square) + delta, in place."""
    roots = torch._foreach_sqrt(squares)
    torch._foreach_add_(roots, delta)
    torch._foreach_div_(values, roots)


def subtract(params: list[Tensor], values: list[Tensor], lr: float) -> None:
    """Compute param -= lr * value, in place, rounded after each operation as in Caffe."""
    torch._foreach_mul_(values, lr)
    torch._foreach_sub_(params, values)
