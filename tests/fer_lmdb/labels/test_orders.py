"""Label orders and lists of class names."""

from __future__ import annotations

from pathlib import Path

import pytest

from fer_lmdb.errors import SourceError
from fer_lmdb.labels import find_label_file, get_label_order, read_labels


def test_unknown_order() -> None:
    with pytest.raises(
        SourceError, match='unknown label order "raf"; expected one of: fer2013, ferplus, affectnet, rafdb'
    ):
        get_label_order("raf")


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("angry, Happy", {0: "angry", 1: "Happy"}),
        ("1 surprise,2:fear,3 = disgust", {1: "surprise", 2: "fear", 3: "disgust"}),
        ("0 no face,1 happy", {0: "no face", 1: "happy"}),
    ],
)
def test_names_separated_by_commas(value: str, names: dict[int, str]) -> None:
    assert read_labels(value).names == names


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_names_in_a_file(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "names.txt"
    path.write_bytes("angry\r\nhappy\r\n\r\n".encode(encoding))
    assert read_labels(str(path)).names == {0: "angry", 1: "happy"}
    path.write_bytes("1 surprise\n2 fear\n".encode(encoding))
    assert read_labels(str(path)).names == {1: "surprise", 2: "fear"}


def test_class_names_without_gaps() -> None:
    assert read_labels("1 happy,0 sad").classes() == ("sad", "happy")
    with pytest.raises(SourceError, match=r"\(1 surprise, 2 fear\): found gaps in the numbers, expected 0 to 1"):
        read_labels("1 surprise,2 fear").classes()


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("happy,,sad", "found an empty class name"),
        (",", "found an empty class name"),
        ("happy,Happiness", 'the name "happy" repeats; expected each class once'),
        ("1 happy,1 sad", 'the number "1" repeats'),
        ("1 happy,sad", "only some classes have numbers; number all of them or none"),
        ("gone.txt", "cannot read the class names in gone.txt: No such file"),
        ("a\0b", "cannot read the class names in"),
    ],
)
def test_lists_that_are_wrong(value: str, reason: str) -> None:
    with pytest.raises(SourceError, match=reason):
        read_labels(value)


def test_files_that_are_no_lists_of_names(tmp_path: Path) -> None:
    path = tmp_path / "classes.txt"
    path.write_bytes(b"\xff\xd8\xff\xe0 JFIF")
    with pytest.raises(SourceError, match=r"classes.txt: not a text file; expected one class name per line"):
        find_label_file(tmp_path)
    path.write_bytes(b"")
    with pytest.raises(SourceError, match=r"classes.txt: found an empty class name"):
        find_label_file(tmp_path)
    path.unlink()
    assert find_label_file(tmp_path) is None
