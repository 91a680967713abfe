"""TIFF with more than 8 bits per sample."""

from __future__ import annotations

import zlib
from io import BytesIO
from typing import Any

import numpy as np
import pytest
import tifffile

from fer_lmdb.errors import ImageError
from fer_lmdb.io.images import decode_image


def tiff(samples: np.ndarray, **options: Any) -> bytes:
    file = BytesIO()
    tifffile.imwrite(file, samples, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("dtype", "largest"),
    [
        ("uint8", 255), ("uint16", 65535), (">u2", 65535), ("uint16", 4095), ("uint16", 1023), ("uint16", 255),
        ("int16", 32767), ("uint32", 2**32 - 1), ("int32", 2**31 - 1), ("float16", 1), ("float32", 1), ("float32", 255),
        ("float32", 65535), ("float64", 1),
    ],
)  # fmt: skip
@pytest.mark.parametrize("layout", ["gray", "rgb", "planar"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_samples_of_all_types(colors: np.ndarray, dtype: str, largest: float, layout: str, compression: str) -> None:
    colors = colors.copy()
    colors[0, 0] = 255
    samples = np.round(colors / 255 * largest) if np.dtype(dtype).kind in "iu" else colors / 255 * largest
    samples = samples.astype(dtype)
    if layout == "gray":
        data, expected = tiff(samples[:, :, 0], compression=compression), np.repeat(colors[:, :, :1], 3, axis=2)
    elif layout == "rgb":
        data, expected = tiff(samples, photometric="rgb", compression=compression), colors
    else:
        planes = np.ascontiguousarray(samples.transpose(2, 0, 1))
        data = tiff(planes, photometric="rgb", planarconfig="separate", compression=compression)
        expected = colors
    np.testing.assert_allclose(decode_image(data).astype(int), expected, atol=1)


def test_alpha_is_blended_with_white() -> None:
    samples = np.zeros((2, 4, 4), np.float32)
    samples[:, :2, 3] = 1
    pixels = decode_image(tiff(samples, photometric="rgb", extrasamples=["unassalpha"]))
    assert pixels[0, :, 0].tolist() == [0, 0, 255, 255]


def test_white_can_be_zero() -> None:
    samples = np.array([[0, 65535]], np.uint16)
    assert decode_image(tiff(samples, photometric="miniswhite"))[0, :, 0].tolist() == [255, 0]


@pytest.mark.parametrize(
    ("orientation", "corner"), [(1, (0, 0)), (2, (0, -1)), (3, (-1, -1)), (4, (-1, 0)), (6, (0, -1)), (8, (-1, 0))]
)
def test_the_orientation_is_applied(orientation: int, corner: tuple[int, int]) -> None:
    samples = np.zeros((10, 20), np.uint16)
    samples[0, 0] = 65535
    pixels = decode_image(tiff(samples, extratags=[(274, 3, 1, orientation, True)]))
    assert pixels[corner][0] == 255
    assert pixels.shape == ((10, 20, 3) if orientation < 5 else (20, 10, 3))


def test_a_segment_that_expands_too_far_is_rejected_before_it_is_in_memory() -> None:
    data = tiff(np.zeros((8, 8), np.float32), compression="zlib")
    bomb = zlib.compress(bytes(5_000_000))
    page = tifffile.TiffFile(BytesIO(data)).pages[0]
    changed = bytearray(data + bomb)
    for tag, value in ((273, len(data)), (279, len(bomb))):
        entry = page.tags[tag]
        changed[entry.valueoffset : entry.valueoffset + 4] = value.to_bytes(4, "little")
    with pytest.raises(ImageError, match="is damaged: a segment expands to more than 256 bytes"):
        decode_image(bytes(changed))


def test_damaged_files_are_one_line() -> None:
    data = tiff(np.zeros((40, 40), np.float64))
    for end in range(0, len(data), 331):
        with pytest.raises(ImageError, match=r"image: is "):
            decode_image(data[:end])


def test_the_size_is_checked_before_decoding() -> None:
    with pytest.raises(ImageError, match=r"is 40 x 30, 0\.0012 million pixels; the limit is 0\.001 million"):
        decode_image(tiff(np.zeros((30, 40), np.float64)), max_pixels=1000)
