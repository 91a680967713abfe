"""Data sets: sources, building, LMDB access, loading."""

from fer_lmdb.data.splits import SPLITS

__all__ = ["SPLITS"]
