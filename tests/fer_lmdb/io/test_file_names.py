from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_lmdb.io.file_names import MAX_BYTES, slug


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("face_emotion_net", "face_emotion_net"),
        ("vgg-16.v2", "vgg-16.v2"),
        ("笑顔", "笑顔"),
        ("../../ESCAPED", "ESCAPED"),
        ("/etc/passwd", "etc_passwd"),
        ("..\\up", "up"),
        ("C:\\x", "C_x"),
        (".hidden", "hidden"),
        ("a\nb\x1b[31m", "a_b_31m"),
        ("a\u202eb", "a_b"),
        ("CON", "_CON"),
        ("nul.txt", "_nul.txt"),
        ("\ud800", "unnamed"),
        ("..", "unnamed"),
        ("", "unnamed"),
    ],
)
def test_slug(text: str, expected: str) -> None:
    assert slug(text) == expected


@given(st.text(st.characters(), max_size=300))
def test_slug_is_one_part_of_a_path(text: str) -> None:
    name = slug(text)
    assert name == Path(name).name and name not in (".", "..") and name.isprintable()
    assert 0 < len(name.encode()) <= MAX_BYTES + 1
    assert Path("/out", name).parent == Path("/out")
    assert slug(name) == name
