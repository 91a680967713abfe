"""Face detection, alignment, preprocessing and tracking.

from fer_lmdb.faces import get_detector
faces = get_detector("mtcnn", min_face=20).detect([image_rgb])
"""

from fer_lmdb.faces.detectors.base import Detector, Face, Image
from fer_lmdb.faces.detectors.registry import DETECTORS, get_detector

__all__ = ["DETECTORS", "Detector", "Face", "Image", "get_detector"]
