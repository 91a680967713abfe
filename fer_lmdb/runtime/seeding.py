"""Seeds that depend on the run's seed, a step and a purpose only, so that a resumed run draws the same numbers."""

from __future__ import annotations

import hashlib


def derive_seed(seed: int, number: int, purpose: str) -> int:
    """Return a seed for one purpose at one step; seeds of different purposes or steps differ.

    Args:
        seed: Seed of the run.
        number: Epoch or iteration.
        purpose: Name of what is drawn, e.g. "shuffle".
    """
    text = f"{seed}/{purpose}/{number}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=7).digest(), "big")
