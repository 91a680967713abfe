"""Lists of paths on stdin."""

from __future__ import annotations

import os
from io import BytesIO

import pytest

from fer_lmdb.errors import SourceError
from fer_lmdb.io.path_list import read_path_list

NAMES = ["./a b.jpg", "größe/😀.png", "/c"]


class Slow(BytesIO):
    """A pipe that gives three bytes at a time."""

    def read1(self, size: int | None = -1) -> bytes:
        return super().read1(3)


@pytest.mark.parametrize("stream", [BytesIO, Slow])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False])
def test_lines_in_utf8_and_utf16(stream: type[BytesIO], encoding: str, end: str, last: bool) -> None:
    text = end.join(NAMES) + (end if last else "")
    data = ("\ufeff" + text).encode(encoding) if encoding == "utf-16-be" else text.encode(encoding)
    assert list(read_path_list(stream(data))) == NAMES


def test_nul_separated_paths_may_hold_line_breaks_and_any_bytes() -> None:
    names = ["a\nb.jpg", os.fsdecode(b"\xff\x1b.png"), "c"]
    assert list(read_path_list(BytesIO(b"".join(os.fsencode(name) + b"\0" for name in names)))) == names
    assert list(read_path_list(BytesIO(b"\0".join(map(os.fsencode, names))))) == names


def test_empty_lines_are_skipped_and_an_empty_list_is_one() -> None:
    assert list(read_path_list(BytesIO(b"\n\na\n\n"))) == ["a"]
    assert list(read_path_list(BytesIO(b""))) == []


def test_names_that_are_not_utf8_are_kept() -> None:
    assert [os.fsencode(name) for name in read_path_list(BytesIO(b"\xe9.jpg\n"))] == [b"\xe9.jpg"]


def test_paths_are_returned_as_they_arrive() -> None:
    class Endless(BytesIO):
        def read1(self, size: int | None = -1) -> bytes:
            return b"a.jpg\n"

    paths = read_path_list(Endless())
    assert [next(paths) for _ in range(3)] == ["a.jpg"] * 3


@pytest.mark.parametrize(
    "data",
    [
        "./a.jpg\r\n".encode("utf-16-le"),  # without a mark
        "./a.jpg\r\n".encode("utf-16-be"),
        b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0\xff\xdb",
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01",
        b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41",
        b"/" * 5000,
        b"a.jpg\n\x01\n",
        "a.jpg\n".encode("utf-16")[:-1] + b"\xd8",
    ],
)
def test_what_is_no_list_is_rejected_before_the_first_path(data: bytes) -> None:
    with pytest.raises(SourceError, match=r"^stdin: is not a list of paths: found|damaged UTF-16"):
        for path in read_path_list(BytesIO(data)):
            pytest.fail(f"returned {path!r}")
