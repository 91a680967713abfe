"""JSON texts without what JSON does not have: NaN, infinity, repeated keys."""

from __future__ import annotations

import json
import math
from typing import Any


def parse_json(text: str) -> Any:
    """Parse a JSON text.

    Raises:
        ValueError: If it is not JSON, a key occurs twice in an object, or a number is NaN or infinite.
    """
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite)
    except RecursionError:
        raise ValueError("found more nested brackets than can be read") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f'found the key "{repeated[:40]}" twice')
    return table


def _no_constant(name: str) -> Any:
    raise ValueError(f"found {name}, which is no number of JSON")


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"found the number {text[:40]}, which is too large")
    return value
