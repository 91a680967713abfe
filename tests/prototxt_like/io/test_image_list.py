"""Lists of paths and labels, as Caffe reads them, and files that are not lists."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from prototxt_like.errors import FileError
from prototxt_like.io.image_list import listed_path, read_image_list, read_labeled_paths, read_path_list


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "train.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_the_last_word_of_a_line_is_the_label(tmp_path: Path) -> None:
    path = write(tmp_path, "a/1.jpg 3\nb c/2 3.jpg 0\r\n\n/train/x.png\t-1\n笑顔/１.jpg   2147483647")
    assert read_image_list(path) == [
        ("a/1.jpg", 3, 1),
        ("b c/2 3.jpg", 0, 2),
        ("/train/x.png", -1, 4),
        ("笑顔/１.jpg", 2147483647, 5),
    ]


def test_labels_may_be_words(tmp_path: Path) -> None:
    assert read_labeled_paths(write(tmp_path, "1.jpg happy\n2.jpg 3\n")) == [("1.jpg", "happy", 1), ("2.jpg", "3", 2)]


def test_lists_without_labels(tmp_path: Path) -> None:
    assert read_path_list(write(tmp_path, "train 1.h5\n\ntrain2.h5\n")) == ["train 1.h5", "train2.h5"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_byte_order_marks(tmp_path: Path, encoding: str) -> None:
    assert read_image_list(write(tmp_path, "ä.jpg 3\nb.jpg 4\n".encode(encoding))) == [("ä.jpg", 3, 1), ("b.jpg", 4, 2)]


def test_any_bytes_of_a_name_are_kept(tmp_path: Path) -> None:
    (entry,) = read_image_list(write(tmp_path, b"caf\xe9.jpg 1\n"))
    assert os.fsencode(entry.path) == b"caf\xe9.jpg"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the list is empty; expected a path and a label"),
        (b"\n \n", "the list is empty"),
        (b"a.jpg 1\nb.jpg\n", r":2: no label: found 'b.jpg', expected a path and a label, e.g. happy/1.jpg 3"),
        (b"a.jpg happy\n", r":1: invalid label: found 'happy', expected an integer"),
        (b"a.jpg 1.0\n", "invalid label: found '1.0'"),
        (b"a.jpg 2147483648\n", "invalid label"),
        (b"a.jpg " + b"9" * 300 + b"\n", "invalid label"),
        ("a.jpg ²\n".encode(), "invalid label"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "no label"),
        (b"a.jpg 1\nb\0.jpg 1\n", ":2: not a list of images: found binary data"),
        (b"x" * 70000 + b" 1\n", "a line too long"),
        (b"\xff\xfea\0\x00\xd8", "cannot be decoded as utf-16"),
    ],
)
def test_files_that_are_not_lists(tmp_path: Path, content: bytes, reason: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(FileError, match=reason) as caught:
        read_image_list(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_paths_that_are_not_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, reason in (
        (tmp_path, "Is a directory"),
        (tmp_path / "no", "No such file"),
        (tmp_path / "pipe", "not a regular file"),
        ("a\0b", "cannot be read"),
    ):
        with pytest.raises(FileError, match=reason):
            read_path_list(path)


@pytest.mark.parametrize(
    ("root", "path", "expected"),
    [("", "/a/1.jpg", "/a/1.jpg"), ("/r/", "/a/1.jpg", "/r/a/1.jpg"), ("r", "1.jpg", "r/1.jpg"), ("/", "a", "/a")],
)
def test_paths_are_appended_to_the_root(root: str, path: str, expected: str) -> None:
    assert listed_path(root, path) == expected


def test_reading_a_list_imports_nothing_heavy() -> None:
    code = "import sys, prototxt_like.io.image_list; print({'torch', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
