"""Detectors by name."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

from fer_lmdb.errors import DetectorError
from fer_lmdb.faces.detectors.base import Detector

DETECTORS = {
    "mtcnn": "three small networks; boxes and 5 landmarks (the default)",
    "ssd": "ResNet-10 SSD of Caffe; boxes (extra [ssd], or ssd:PATH of a .caffemodel with its .prototxt beside it)",
    "haar": "OpenCV's cascade for frontal faces; boxes",
    "dlib": "dlib's HOG detector; boxes and 68 landmarks (extra [dlib])",
}


def get_detector(name: str, *, min_face: float = 20, threshold: float | None = None, device: str = "cpu") -> Detector:
    """Load a face detector.

    Args:
        name: one of `DETECTORS`, or `ssd:PATH`.
        min_face: side of the smallest face to find, in pixels.
        threshold: lowest score of a face that is given back; None for the detector's own default.
        device: "cpu", "cuda", ... for the detectors that run in PyTorch.

    Raises:
        DetectorError: there is no such detector, or its package or weights are missing.
    """
    if not min_face > 0:
        raise DetectorError(f"min_face is {min_face}; expected a number of pixels above 0")
    options: dict[str, Any] = {"min_face": min_face} | ({} if threshold is None else {"threshold": threshold})
    kind, _, path = name.partition(":")
    if kind == "mtcnn":
        from fer_lmdb.faces.detectors.mtcnn import Mtcnn

        return Mtcnn(**options, device=device)
    if kind == "ssd":
        from fer_lmdb.faces.detectors.ssd import Ssd

        return Ssd(**options, device=device, weights=Path(path) if path else None)
    if kind == "haar":
        from fer_lmdb.faces.detectors.haar import Haar

        return Haar(**options)
    if kind == "dlib":
        from fer_lmdb.faces.detectors.dlib import Dlib

        return Dlib(**options)
    near = difflib.get_close_matches(name, DETECTORS, n=1)
    hint = f'did you mean "{near[0]}"?' if near else f"there are: {', '.join(DETECTORS)}"
    raise DetectorError(f'no detector is called "{name}"; {hint}')
