"""FER2013's csv: both layouts, invalid rows, and files that change while they are read."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_lmdb.data.sources import InvalidSample, Sample
from fer_lmdb.data.sources.fer2013 import Fer2013Csv, parse_pixels, parse_row
from fer_lmdb.errors import SourceError

FACE = np.random.default_rng(3).integers(0, 256, (48, 48), dtype=np.uint8)
PIXELS = " ".join(map(str, FACE.ravel()))


def write(path: Path, *rows: str | bytes, header: str = "emotion,pixels,Usage", end: str = "\n") -> Fer2013Csv:
    lines = [line if isinstance(line, bytes) else line.encode() for line in (header, *rows)]
    path.write_bytes(b"".join(line + end.encode() for line in lines))
    return Fer2013Csv(path)


def only(source: Fer2013Csv) -> Sample | InvalidSample:
    (item,) = source
    return item


def test_rows_become_samples(tmp_path: Path) -> None:
    source = write(tmp_path / "a.csv", f"3,{PIXELS},Training", f"0,{PIXELS},PublicTest", f"6,{PIXELS},PrivateTest")
    samples = list(source)
    assert [(sample.name, sample.split, sample.label, sample.row) for sample in samples] == [
        ("/train/3/00000.png", "train", 3, 0),
        ("/val/0/00001.png", "val", 0, 1),
        ("/test/6/00002.png", "test", 6, 2),
    ]
    assert samples[1].location == f"{tmp_path}/a.csv:3"
    for sample in samples:
        np.testing.assert_array_equal(sample.image, FACE)


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("emotion, Usage, pixels", f"4,Training,{PIXELS}"),
        ("\ufeffemotion,pixels,Usage", f"4,{PIXELS},Training"),
        ("emotion,pixels,Usage\r", f"4,{PIXELS},Training\r"),
        ('"emotion","pixels","Usage"', f'"4","{PIXELS}","Training"'),
        ("id,Usage,emotion,pixels", f"17,Training,4,{PIXELS}"),
        ("emotion,pixels,Usage", f" 4 ,  {PIXELS.replace(' ', '  ')} , Training "),
    ],
    ids=["later layout", "BOM", "CRLF", "quoted", "more columns", "spaces"],
)
def test_layouts(tmp_path: Path, header: str, row: str) -> None:
    sample = only(write(tmp_path / "a.csv", row, header=header))
    assert isinstance(sample, Sample)
    assert (sample.label, sample.split) == (4, "train")
    np.testing.assert_array_equal(sample.image, FACE)


def test_empty_lines_and_a_missing_final_line_break_are_accepted(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"emotion,pixels,Usage\n\n0,{PIXELS},Training\n\n1,{PIXELS},Training")
    first, second = Fer2013Csv(tmp_path / "a.csv")
    assert (first.row, first.location[-2:], second.row, second.location[-2:]) == (0, ":3", 1, ":5")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (f"3,{PIXELS} 7,Training", "2305 pixels; expected 2304"),
        ("3,1 2 3,Training", "3 pixels"),
        ("3,,Training", "0 pixels"),
        (f"3,{PIXELS.replace(str(FACE[0, 0]), '256', 1)},Training", 'pixel "256"'),
        (f"3,-1{PIXELS[PIXELS.index(' ') :]},Training", 'pixel "-1"'),
        (f"3,1.5{PIXELS[PIXELS.index(' ') :]},Training", 'pixel "1.5"'),
        (f"3,1\0{PIXELS[PIXELS.index(' ') :]},Training", r'pixel "1\x00"'),
        (f"7,{PIXELS},Training", 'emotion "7"; expected one of: 0, 1, 2, 3, 4, 5, 6'),
        (f"-1,{PIXELS},Training", 'emotion "-1"'),
        (f"happy,{PIXELS},Training", 'emotion "happy"'),
        (f",{PIXELS},Training", 'emotion ""'),
        (f"3,{PIXELS},Validation", 'usage "Validation"; expected Training, PublicTest or PrivateTest'),
        (f"3,{PIXELS}", "2 fields; expected"),
        (f'3,"{PIXELS},Training', "0 fields; expected"),
        (b"3," + PIXELS.encode() + b",Train\xff\xfe", r"usage"),
    ],
)
def test_invalid_rows(tmp_path: Path, row: str | bytes, reason: str) -> None:
    invalid = only(write(tmp_path / "a.csv", row))
    assert isinstance(invalid, InvalidSample)
    assert invalid.location == f"{tmp_path}/a.csv:2"
    assert reason in invalid.reason
    assert "\n" not in invalid.reason
    assert invalid.reason.isprintable()


def test_rows_after_an_invalid_one_are_read(tmp_path: Path) -> None:
    items = list(write(tmp_path / "a.csv", f"9,{PIXELS},Training", f"1,{PIXELS},PublicTest"))
    assert [type(item) for item in items] == [InvalidSample, Sample]
    assert items[0].split == "train"
    assert items[1].row == 1


def test_a_line_of_ten_megabytes_is_rejected_in_bounded_memory(tmp_path: Path) -> None:
    source = write(tmp_path / "a.csv", "3," + "1 " * 10_000_000 + ",Training", f"1,{PIXELS},Training")
    tracemalloc.start()
    items = list(source)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "more than 1,048,576 bytes" in items[0].reason
    assert isinstance(items[1], Sample)
    assert peak < 6 << 20


@pytest.mark.parametrize("header", ["a,b,c", "emotion,usage", "", "Usage,Image name,neutral", "\0\0", '"emotion'])
def test_another_header(tmp_path: Path, header: str) -> None:
    with pytest.raises(SourceError, match=r"a.csv:1: the header is .*expected emotion, pixels, Usage"):
        write(tmp_path / "a.csv", header=header)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"cannot read .*nowhere.csv: No such file"):
        Fer2013Csv(tmp_path / "nowhere.csv")


def test_digest_and_size_after_reading(tmp_path: Path) -> None:
    source = write(tmp_path / "a.csv", *[f"3,{PIXELS},Training"] * 5)
    assert source.size_hint() is None
    list(source)
    assert source.size_hint() == 5
    import hashlib

    assert source.sha256() == hashlib.sha256((tmp_path / "a.csv").read_bytes()).hexdigest()


@pytest.mark.parametrize("change", ["grow", "truncate", "touch"])
def test_a_file_that_changes_while_it_is_read(tmp_path: Path, change: str) -> None:
    path = tmp_path / "a.csv"
    reading = iter(write(path, *[f"3,{PIXELS},Training"] * 100))
    next(reading)
    if change == "grow":
        with path.open("a") as file:
            file.write(f"3,{PIXELS},Training\n")
    elif change == "truncate":
        os.truncate(path, path.stat().st_size // 2)
    else:
        os.utime(path, (1, 1))
    with pytest.raises(SourceError, match="changed while it was read"):
        list(reading)


@pytest.mark.parametrize("seed", range(30))
def test_pixels_are_parsed(seed: int) -> None:
    values = np.random.default_rng(seed).integers(0, 256, 2304)
    np.testing.assert_array_equal(parse_pixels(" ".join(map(str, values))), values.reshape(48, 48))


@pytest.mark.parametrize("position", [0, 1, 1000, 2302, 2303])
@pytest.mark.parametrize("value", ["256", "257", "300", "511", "512", "999", "1000", "65792", "07", "+7", "1_0", "٣"])
def test_invalid_pixels(value: str, position: int) -> None:
    words = PIXELS.split(" ")
    words[position] = value
    found = parse_pixels(" ".join(words))
    assert isinstance(found, str) or (value == "07" and found.ravel()[position] == 7)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
@settings(max_examples=300, deadline=None)
def test_arbitrary_lines_do_not_raise(line: bytes) -> None:
    item = parse_row(line, 0, "a.csv:2", (0, 1, 2))
    assert isinstance(item, InvalidSample)
    assert item.reason.isprintable()


@given(st.text(alphabet='0123456789 ,-.\0\u00e9"', max_size=60), st.integers(0, 2303))
@settings(max_examples=200, deadline=None)
def test_arbitrary_text_among_the_pixels(piece: str, position: int) -> None:
    words = PIXELS.split(" ")
    words[position] = piece
    found = parse_pixels(" ".join(words))
    if isinstance(found, str):
        assert found.isprintable()
    else:
        np.testing.assert_array_equal(found.ravel(), [int(word) for word in " ".join(words).split()])


def test_the_published_file(shared: Path) -> None:
    """Rows written from the shared faces parse to exactly these faces."""
    import cv2

    faces = cv2.imread(str(shared / "fer2013" / "pixels" / "007.webp"), cv2.IMREAD_GRAYSCALE).reshape(-1, 48, 48)
    for face in faces[:50]:
        np.testing.assert_array_equal(parse_pixels(" ".join(map(str, face.ravel()))), face)
