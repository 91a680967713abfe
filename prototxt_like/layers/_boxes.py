"""Box operations of SSD: decoding, overlap and non-maximum suppression. Boxes are x1, y1, x2, y2."""

from __future__ import annotations

import torch
from torch import Tensor


def decode(codes: Tensor, priors: Tensor, variances: Tensor | None, code_type: str) -> Tensor:
    """Decode predicted offsets relative to the prior boxes.

    Args:
        codes: (..., priors, 4) float32 offsets.
        priors: (priors, 4) corners as fractions of the image size.
        variances: (priors, 4) factors of the offsets; None if the offsets already include them.
        code_type: ``CORNER``, ``CENTER_SIZE`` or ``CORNER_SIZE``.

    Returns:
        (..., priors, 4) corners, not clipped to the image.
    """
    scaled = codes if variances is None else codes * variances
    if code_type == "CORNER":
        return priors + scaled
    size = priors[:, 2:] - priors[:, :2]
    if code_type == "CORNER_SIZE":
        return priors + scaled * torch.cat([size, size], -1)
    center = (priors[:, :2] + priors[:, 2:]) / 2 + scaled[..., :2] * size
    half = torch.exp(scaled[..., 2:]) * size / 2
    return torch.cat([center - half, center + half], -1)


def overlaps(box: Tensor, others: Tensor) -> Tensor:
    """Return the intersection over union of one box (4,) with others (M, 4)."""
    low, high = torch.maximum(box[:2], others[:, :2]), torch.minimum(box[2:], others[:, 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    areas = _area(others)
    return torch.where(shared > 0, shared / (_area(box[None]) + areas - shared), 0)


def _area(boxes: Tensor) -> Tensor:
    """Return areas (M,); 0 for a box whose corners are in the wrong order."""
    return (boxes[:, 2:] - boxes[:, :2]).clamp(min=0).prod(-1)


def suppress(boxes: Tensor, scores: Tensor, least_score: float, overlap: float, eta: float, top_k: int) -> Tensor:
    """Return the indices of the remaining boxes after non-maximum suppression, best first.

    Args:
        boxes: (M, 4) corners.
        scores: (M,) scores.
        least_score: Score threshold; boxes need a higher score.
        overlap: Maximum overlap with a better box, 0 to 1.
        eta: Factor on ``overlap`` after every remaining box, while ``overlap`` is above 0.5; 1 = constant threshold.
        top_k: Number of best boxes to consider; -1 = all.

    Returns:
        (remaining,) int64.
    """
    eligible = (scores > least_score).nonzero().squeeze(1)
    order = eligible[scores[eligible].sort(descending=True, stable=True).indices]
    order = order if top_k < 0 else order[:top_k]
    selected: list[Tensor] = []
    worst = scores.new_zeros(len(order))  # largest overlap of each with a remaining box
    while len(order):
        best, order = order[0], order[1:]
        selected.append(best)
        worst = torch.maximum(worst[1:], overlaps(boxes[best], boxes[order]))
        if eta < 1 and overlap > 0.5:
            overlap *= eta
        stays = worst <= overlap
        order, worst = order[stays], worst[stays]
    return torch.stack(selected) if selected else eligible
