"""Predictions on files: pictures in batches, videos frame by frame."""

from fer_lmdb.inference.images import ImageResult, predict_images
from fer_lmdb.inference.inputs import InputFile, find_files

__all__ = ["ImageResult", "InputFile", "find_files", "predict_images"]
