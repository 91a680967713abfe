"""Contact sheet with one row per class."""

from __future__ import annotations

import numpy as np

from fer_lmdb.visualization.class_sheet import COLUMNS, GAP, TILE, TITLE, ClassSheet


def test_rows_hold_the_first_faces_of_their_class_and_count_all() -> None:
    sheet = ClassSheet(["happy", "sad"])
    for number in range(COLUMNS + 3):
        sheet.add(np.full((48, 48), number, np.uint8), 0)
    sheet.add(np.full((3, 99, 99), [[[10]], [[20]], [[30]]], np.uint8), 1)
    assert sheet.counts == [COLUMNS + 3, 1]
    drawn = sheet.draw("train")
    middle = [GAP + row * (TITLE + TILE + GAP) + TITLE + TILE // 2 for row in range(2)]
    columns = [GAP + column * (TILE + GAP) + TILE // 2 for column in range(COLUMNS)]
    assert drawn[middle[0], columns].tolist() == [[number] * 3 for number in range(COLUMNS)]
    assert drawn[middle[1], columns[:2]].tolist() == [[30, 20, 10], [250, 250, 250]]
