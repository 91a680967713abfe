"""BlobProto and arrays."""

from __future__ import annotations

import numpy as np
import pytest

import prototxt_like as pl

VALUES = np.random.default_rng(0).standard_normal((2, 3, 5, 7)).astype(np.float32)


def test_there_and_back_bit_for_bit() -> None:
    special = np.array([np.nan, np.inf, -np.inf, -0.0, 1e-45, 3.4e38], np.float32)
    for array in (VALUES, special, np.float32(3).reshape(()), np.zeros((0, 4), np.float32)):
        again = pl.blob_to_array(pl.BlobProto.FromString(pl.array_to_blob(array).SerializeToString()))
        assert again.shape == array.shape
        assert again.tobytes() == array.tobytes()


def test_bytes_are_those_of_protobuf_itself() -> None:
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


def test_other_fields_do_not_disturb() -> None:
    blob = pl.array_to_blob(VALUES)
    blob.diff.extend([1.5] * VALUES.size)
    np.testing.assert_array_equal(pl.blob_to_array(blob), VALUES)


def test_unknown_fields_do_not_disturb() -> None:
    """Groups with what looks like data inside, numbers of fixed length, all in fields that no blob has."""
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
            "1000000000 x 1000000000 x 1000000000 = 1000000000000000000000000000 values, but holds 2",
        ),
        ([3], "shape 3 = 3 values, but holds 2"),
        ([], r"shape \(\) = 1 values, but holds 2"),
        ([-2], "no size may be negative"),
    ],
)
def test_counts_that_contradict_the_shape(dim: list[int], message: str) -> None:
    """Refused before any array is made."""
    blob = pl.BlobProto(data=[1, 2])
    blob.shape.dim.extend(dim)
    with pytest.raises(pl.FileError, match=message):
        pl.blob_to_array(blob)
