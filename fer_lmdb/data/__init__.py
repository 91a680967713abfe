"""Data sets: sources, building, LMDB access, loading."""
