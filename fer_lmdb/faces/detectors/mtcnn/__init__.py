"""MTCNN: three small networks that propose, refine and place faces, run in PyTorch over many pictures at once."""

from fer_lmdb.faces.detectors.mtcnn.detector import Mtcnn

__all__ = ["Mtcnn"]
