"""Draw predictions onto a picture: boxes, landmarks, the expression's name, bars of all probabilities."""

from fer_lmdb.visualization.annotate import annotate

__all__ = ["annotate"]
