"""Registry of face detectors."""

from __future__ import annotations

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
        name: One of `DETECTORS`, or `ssd:PATH`.
        min_face: Side of the smallest face to detect, in pixels, greater than 0.
        threshold: Minimum score of a detection; None for the default of the detector.
        device: Torch device ("cpu", "cuda", ...) of the detectors that run in PyTorch.

    Raises:
        DetectorError: If the name is unknown, or the package or weights of the detector are missing.
        DeviceError: If the device is not available.
    """
    if not min_face > 0:
        raise DetectorError(f"invalid min_face: found {min_face}, expected a number of pixels above 0")
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
    from prototxt_like.suggest import did_you_mean

    raise DetectorError(f'unknown detector "{name}"{did_you_mean(name, DETECTORS)}')
