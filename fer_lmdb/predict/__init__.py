"""Predictions on files: pictures in batches, videos frame by frame."""

from fer_lmdb.predict.paths import Found, find_files
from fer_lmdb.predict.pictures import Seen, predict_pictures

__all__ = ["Found", "Seen", "find_files", "predict_pictures"]
