"""Detectors by name."""

from __future__ import annotations

from fer_lmdb.errors import DetectorError
from fer_lmdb.faces.base import Detector

DETECTORS = ("mtcnn",)


def get_detector(name: str, *, min_face: float = 20, threshold: float | None = None, device: str = "cpu") -> Detector:
    """Load a face detector.

    Args:
        name: one of `DETECTORS`.
        min_face: side of the smallest face to find, in pixels.
        threshold: lowest score of a face that is given back; None for the detector's own default.
        device: "cpu", "cuda", ... for the detectors that run in PyTorch.

    Raises:
        DetectorError: there is no such detector, or its package or weights are missing.
    """
    if min_face <= 0:
        raise DetectorError(f"min_face is {min_face}; expected a number of pixels above 0")
    options = {"min_face": min_face} | ({} if threshold is None else {"threshold": threshold})
    if name == "mtcnn":
        from fer_lmdb.faces.mtcnn import Mtcnn

        return Mtcnn(**options, device=device)
    raise DetectorError(f'no detector is called "{name}"; there are: {", ".join(DETECTORS)}')
