from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_lmdb import ranges
from fer_lmdb.errors import OptionError
from fer_lmdb.ranges import Range

ALL = {name: value for name, value in vars(ranges).items() if isinstance(value, Range)}


@pytest.mark.parametrize(
    ("accepted", "text"),
    [
        (Range(0, 1), "a number from 0 to 1"),
        (Range(1, 9, integer=True), "an integer from 1 to 9"),
        (Range(0, 1, high_open=True), "a number of at least 0 and below 1"),
        (Range(0, 1, low_open=True), "a number above 0 and at most 1"),
    ],
)
def test_a_range_describes_itself(accepted, text):
    assert str(accepted) == text


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), float("-inf"), None, "1", True, 1j, [1], np.float32("nan"), 10**300]
)
@pytest.mark.parametrize("name", ALL)
def test_no_range_accepts_what_is_no_finite_number(name, value):
    with pytest.raises(OptionError, match=r"^invalid x: found .*, expected an? (number|integer) .*; pass another"):
        ALL[name].check("x", value)


@pytest.mark.parametrize("value", [1, 1.0, np.float32(1), np.int64(1)])
def test_numbers_of_numpy_are_numbers(value):
    Range(0, 1).check("x", value)


def test_integers_are_integers():
    assert np.int64(3) in ranges.COUNT
    assert 3.0 not in ranges.COUNT
    assert 2**63 not in ranges.SEED and 2**63 - 1 in ranges.SEED and -1 not in ranges.SEED


@given(st.one_of(st.floats(), st.integers(), st.text(), st.none()))
def test_the_message_is_one_short_line(value):
    accepted = Range(5, 5, integer=True)
    if value not in accepted:
        with pytest.raises(OptionError) as raised:
            accepted.check("x", value)
        assert "\n" not in str(raised.value) and len(str(raised.value)) < 150


def test_an_endless_integer_is_named_by_its_type():
    with pytest.raises(OptionError, match="found int, expected"):
        ranges.SEED.check("seed", 10**5000)
