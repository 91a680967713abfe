"""MTCNN: a cascade of three small networks, run in PyTorch on batches of images."""

from fer_lmdb.faces.detectors.mtcnn.detector import Mtcnn

__all__ = ["Mtcnn"]
