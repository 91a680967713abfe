"""Checks of the arguments of `Recognizer`."""

from __future__ import annotations

from fer_lmdb import ranges
from fer_lmdb.choices import PRECISIONS, TTA_VIEWS
from fer_lmdb.errors import OptionError
from fer_lmdb.io.pixels import check_color_order
from fer_lmdb.runtime.device import check_device_name


def check_options(
    *, min_face: float | None, min_probability: float, tta: int, color: str, device: str, precision: str
) -> None:
    """Raise OptionError for an argument that is out of range; see `Recognizer`."""
    ranges.PROBABILITY.check("min_probability", min_probability)
    if isinstance(tta, bool) or tta not in TTA_VIEWS:
        raise OptionError(f"invalid tta: found {tta}, expected one of: {', '.join(map(str, TTA_VIEWS))}")
    if min_face is not None:
        ranges.MIN_FACE.check("min_face", min_face)
    if precision not in PRECISIONS:
        raise OptionError(f"invalid precision: found {precision!r}, expected one of: {', '.join(PRECISIONS)}")
    check_device_name(device)
    check_color_order(color)
