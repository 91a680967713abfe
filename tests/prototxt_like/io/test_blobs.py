"""Tests for BlobProto conversion."""

from __future__ import annotations

import numpy as np
import pytest

import prototxt_like as pl

VALUES = np.random.default_rng(0).standard_normal((2, 3, 5, 7)).astype(np.float32)


def test_round_trip_is_bit_exact() -> None:
    special = np.array([np.nan, np.inf, -np.inf, -0.0, 1e-45, 3.4e38], np.float32)
    for array in (VALUES, special, np.float32(3).reshape(()), np.zeros((0, 4), np.float32)):
        again = pl.blob_to_array(pl.BlobProto.FromString(pl.array_to_blob(array).SerializeToString()))
        assert again.shape == array.shape
        assert again.tobytes() == array.tobytes()


def test_bytes_equal_protobufs_own() -> None:
    blob = pl.BlobProto(data=VALUES.ravel().tolist())
    blob.shape.dim.extend(VALUES.shape)
    assert pl.array_to_blob(VALUES).SerializeToString() == blob.SerializeToString()


@pytest.mark.parametrize("count", [31, 32, 33, 4095, 4096, 4097])
def test_lengths_around_a_varint_byte(count: int) -> None:
    array = np.arange(count, dtype=np.float32)
    np.testing.assert_array_equal(np.array(pl.array_to_blob(array).data, np.float32), array)


def test_legacy_shape() -> None:
    blob = pl.array_to_blob(VALUES[0], legacy=True)
    assert [blob.num, blob.channels, blob.height, blob.width] == [1, 3, 5, 7]
    assert not blob.HasField("shape")
    assert pl.blob_to_array(blob).shape == (1, 3, 5, 7)


def test_other_fields_are_ignored() -> None:
    blob = pl.array_to_blob(VALUES)
    blob.diff.extend([1.5] * VALUES.size)
    np.testing.assert_array_equal(pl.blob_to_array(blob), VALUES)


def test_unknown_fields_are_ignored() -> None:
    """Unknown groups that contain data-like bytes, and unknown fixed-length fields."""
    group = bytes([20 << 3 & 127 | 3 | 128, 1, 0x2A, 2, 9, 9, 20 << 3 & 127 | 4 | 128, 1])
    fixed = bytes([15 << 3 | 1]) + bytes(8) + bytes([15 << 3 | 5]) + bytes(4)
    blob = pl.BlobProto.FromString(group + fixed + pl.array_to_blob(VALUES).SerializeToString())
    np.testing.assert_array_equal(pl.blob_to_array(blob), VALUES)


def test_double_data_is_rounded() -> None:
    blob = pl.BlobProto(double_data=[1 / 3, 2.0])
    blob.shape.dim.append(2)
    np.testing.assert_array_equal(pl.blob_to_array(blob), np.array([1 / 3, 2], np.float32))


@pytest.mark.parametrize(
    ("dim", "message"),
    [
        (
            [10**9, 10**9, 10**9],
            "found 2, expected 1000000000000000000000000000 for shape 1000000000 x 1000000000 x 1000000000",
        ),
        ([3], "found 2, expected 3 for shape 3"),
        ([], r"found 2, expected 1 for shape \(\)"),
        ([-2], "negative size"),
    ],
)
def test_wrong_number_of_values_is_an_error(dim: list[int], message: str) -> None:
    """Rejected before memory is allocated."""
    blob = pl.BlobProto(data=[1, 2])
    blob.shape.dim.extend(dim)
    with pytest.raises(pl.FileError, match=message):
        pl.blob_to_array(blob)
