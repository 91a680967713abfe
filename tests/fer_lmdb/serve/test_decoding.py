"""Decoding of untrusted images."""

from __future__ import annotations

import tracemalloc
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fer_lmdb.serve.decoding import decode_upload
from fer_lmdb.serve.http_errors import ApiError

MAX_PIXELS = 1_000_000


def encoded(kind: str, size: tuple[int, int] = (40, 30)) -> bytes:
    stream = BytesIO()
    Image.fromarray(np.full((size[1], size[0], 3), 90, np.uint8)).save(stream, kind)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "AVIF"])
def test_browser_formats_are_decoded(kind: str) -> None:
    assert decode_upload(encoded(kind), "p", MAX_PIXELS).shape == (30, 40, 3)


@pytest.mark.parametrize("kind", ["TIFF", "ICO", "TGA", "PPM", "EPS", "PDF"])
def test_other_formats_are_rejected(kind: str) -> None:
    with pytest.raises(ApiError, match="not a supported image; send JPEG, PNG") as caught:
        decode_upload(encoded(kind), "p", MAX_PIXELS)
    assert caught.value.status == 415


@pytest.mark.parametrize(("width", "height"), [(1001, 1000), (30_000, 30_000), (2_000_000_000, 2_000_000_000)])
def test_decompression_bombs_are_rejected_before_decoding(png_with_size, width: int, height: int) -> None:
    tracemalloc.start()
    with pytest.raises(ApiError) as caught:
        decode_upload(png_with_size(width, height), "bomb.png", MAX_PIXELS)
    assert tracemalloc.get_traced_memory()[1] < 2_000_000
    tracemalloc.stop()
    assert (caught.value.status, caught.value.code) == (413, "too_large")


def test_small_file_with_many_pixels_is_rejected() -> None:
    data = encoded("PNG", (2000, 2000))
    assert len(data) < 100_000
    with pytest.raises(ApiError, match="found 2000 x 2000, 4 million pixels; the limit is 1 million"):
        decode_upload(data, "p", MAX_PIXELS)


@pytest.mark.parametrize("data", [b"", encoded("PNG")[:70], encoded("JPEG")[:300], encoded("BMP")[:500]])
def test_damaged_images(data: bytes) -> None:
    with pytest.raises(ApiError) as caught:
        decode_upload(data, "p", MAX_PIXELS)
    assert (caught.value.status, caught.value.code) == (422, "damaged_picture")
    assert "\n" not in caught.value.message


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([b"", encoded("PNG"), encoded("JPEG"), encoded("GIF"), encoded("WEBP"), encoded("BMP")]),
    st.lists(st.tuples(st.integers(0, 400), st.binary(min_size=1, max_size=8)), max_size=6),
    st.binary(max_size=40),
)
def test_any_bytes_are_pixels_or_an_error(base: bytes, edits: list[tuple[int, bytes]], tail: bytes) -> None:
    data = bytearray(base + tail)
    for at, replacement in edits:
        data[at : at + len(replacement)] = replacement
    try:
        pixels = decode_upload(bytes(data), "p", MAX_PIXELS)
    except ApiError as error:
        assert error.status in {413, 415, 422}
    else:
        assert pixels.dtype == np.uint8
        assert pixels.size <= 3 * MAX_PIXELS
