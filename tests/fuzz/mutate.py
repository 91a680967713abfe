"""Mutations of every target: those of its format, and sometimes of plain bytes."""

from __future__ import annotations

import random

from . import chunks, wire, words

KNOWING = {
    "prototxt": words.mutate,
    "caffemodel": wire.mutate,
    "binaryproto": wire.mutate,
    "datum": wire.mutate,
    "lmdb": chunks.mutate,
    "csv": words.mutate,
    "votes": words.mutate,
    "image": chunks.mutate,
    "model": words.mutate_safetensors,
    "snapshot": words.mutate_safetensors,
    "outputs": lambda data, dice: dice.randbytes(8),
    "manifest": words.mutate,
    "http": words.mutate,
}


def mutate(target: str, seeds: list[bytes], dice: random.Random) -> bytes:
    """Return a mutated file.

    Args:
        target: decides which mutations know the format.
        seeds: valid files to start from.
        dice: decides everything.
    """
    data = dice.choice(seeds)
    kind = dice.random()
    if kind < 0.85:
        return KNOWING[target](data, dice)
    if kind < 0.95:
        return chunks.mutate(data, dice)
    other = dice.choice(seeds)
    return data[: dice.randrange(len(data) + 1)] + other[dice.randrange(len(other) + 1) :]
