"""Spooled faces are read back unchanged and shuffled, with bounded memory."""

from __future__ import annotations

import os
import tracemalloc
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from fer_lmdb.data.build.spool import Spool, SpoolEntry, open_spools, shuffle

ENTRIES = [
    SpoolEntry("plain.png", 3),
    SpoolEntry("train/größe 1\n2.png", 0, {"box": None, "score": 0.1}),
    SpoolEntry(os.fsdecode(b"not-utf8-\xff.png"), 6, None, (0, 10, 2)),
    SpoolEntry("", -1, None, ()),
]


def filled(path: Path, entries: list[SpoolEntry]) -> Spool:
    spool = Spool(path, 2)
    for number, entry in enumerate(entries):
        spool.add(np.full((2, 2), number, np.uint8), entry)
    return spool


def test_each_entry_is_read_with_its_face(tmp_path):
    spool = filled(tmp_path / "train.spool", ENTRIES)
    spool.shuffle(np.random.default_rng(0))
    pairs = list(zip(spool.entries(), spool.faces(), strict=True))
    assert len(spool) == len(pairs) == len(ENTRIES)
    assert [entry for entry, _ in pairs] != ENTRIES
    for entry, face in pairs:
        assert entry == ENTRIES[face[0, 0, 0]] and (face == face[0, 0, 0]).all()
    assert list(spool.entries()) == [entry for entry, _ in pairs]


def test_the_order_depends_on_the_seed(tmp_path):
    orders = []
    for number, seed in enumerate((5, 5, 6)):
        (tmp_path / str(number)).mkdir()
        with open_spools(tmp_path / str(number), 2) as spools:
            for count in range(50):
                spools["train"].add(np.zeros((2, 2), np.uint8), SpoolEntry(f"{count}", 0))
            shuffle(spools, seed)
            orders.append([entry.name for entry in spools["train"].entries()])
    assert orders[0] == orders[1] != orders[2]
    assert Counter(orders[0]) == Counter(orders[2])


def test_a_split_without_faces_is_empty(tmp_path):
    with open_spools(tmp_path, 2) as spools:
        shuffle(spools, 0)
        assert list(spools["val"].entries()) == list(spools["val"].faces()) == []


def test_files_are_removed(tmp_path):
    with pytest.raises(KeyboardInterrupt), open_spools(tmp_path, 2) as spools:
        spools["train"].add(np.zeros((2, 2), np.uint8), ENTRIES[0])
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_memory_does_not_grow_with_the_detections(tmp_path):
    detection = {"landmarks": [[1.0, 2.0]] * 50}
    tracemalloc.start()
    try:
        spool = Spool(tmp_path / "train.spool", 2)
        face = np.zeros((2, 2), np.uint8)
        for number in range(20_000):
            spool.add(face, SpoolEntry(f"train/neutral/{number:08d}.png", 0, detection))
        spool.shuffle(np.random.default_rng(0))
        assert sum(1 for _ in spool.entries()) == 20_000
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 20_000 * 40  # two numbers per face; the detection alone has 600 bytes
