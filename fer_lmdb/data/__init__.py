"""Data sets: sources, building, LMDB access, loading."""

from fer_lmdb.choices import SPLITS

__all__ = ["SPLITS"]
