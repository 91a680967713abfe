"""Predictions on files: pictures in batches, videos frame by frame."""

from fer_lmdb.predict.paths import InputFile, find_files
from fer_lmdb.predict.pictures import ImageResult, predict_images

__all__ = ["ImageResult", "InputFile", "find_files", "predict_images"]
