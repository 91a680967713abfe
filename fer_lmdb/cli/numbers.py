"""Click types of numbers: finite, of a known range, and checked before the command runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from fer_lmdb.ranges import MAX_INT64, Range, shortened

SHOWN_LIMIT = 90_000
"""Limits beyond this value keep nonsense out; the help does not show them."""


class Number(click.FloatRange):
    """A finite number of a range."""

    def __init__(self, range: Range) -> None:  # noqa: A002 - what it is
        super().__init__(range.low, _shown(range), range.low_open, range.high_open and _shown(range) is not None)
        self.range = range

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number; fail if it is not finite or outside the range."""
        return _checked(self, click.FLOAT.convert(value, param, ctx), param, ctx)


class Integer(click.IntRange):
    """An integer of a range."""

    def __init__(self, range: Range) -> None:  # noqa: A002 - what it is
        shown = _shown(range)
        super().__init__(int(range.low), None if shown is None else int(shown))
        self.range = range

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the integer; fail if it is outside the range."""
        return _checked(self, click.INT.convert(value, param, ctx), param, ctx)


class FiniteFloat(click.types.FloatParamType):
    """A number that is neither NaN nor infinite; what uses it checks its range."""

    range = Range(-1e100, 1e100)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number; fail if it is not finite."""
        return _checked(self, super().convert(value, param, ctx), param, ctx)


class Int64(click.types.IntParamType):
    """An integer of 64 bits; what uses it checks its range."""

    range = Range(-MAX_INT64, MAX_INT64, integer=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the integer; fail if it has more than 64 bits."""
        return _checked(self, super().convert(value, param, ctx), param, ctx)


def number(range: Range) -> Number | Integer:  # noqa: A002 - what it is
    """Return the click type of a range."""
    return Integer(range) if range.integer else Number(range)


def bounded(type_: click.ParamType) -> click.ParamType:
    """Return the type that takes the place of one of click's, which accept NaN, infinity and 300 digits."""
    if type(type_) is click.FloatRange:
        low = -1e100 if type_.min is None else type_.min
        high = 1e100 if type_.max is None else type_.max
        return Number(Range(low, high, type_.min_open, type_.max_open))
    if type(type_) is click.IntRange:
        low = -MAX_INT64 if type_.min is None else type_.min
        high = MAX_INT64 if type_.max is None else type_.max
        return Integer(Range(low, high, integer=True))
    if type(type_) is click.types.FloatParamType:
        return FiniteFloat()
    return Int64() if type(type_) is click.types.IntParamType else type_


class Numbers(tuple[float, ...]):
    """Numbers of a comma-separated list; `str` returns the list as text."""

    def __str__(self) -> str:
        return ",".join(f"{number:g}" for number in self)


class NumberList(click.ParamType):
    """A comma-separated list of numbers, e.g. 2,1,1.

    Args:
        range: Range of each number.
    """

    name = "numbers"

    def __init__(self, range: Range = FiniteFloat.range) -> None:  # noqa: A002 - what it is
        self.range = range

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Numbers:
        """Parse the list."""
        try:
            words: Sequence[Any] = value.split(",") if isinstance(value, str) else value
            numbers = Numbers(float(word) for word in words)
        except ValueError:
            self.fail(f'found "{value}", expected numbers separated by commas, e.g. 2,1,1', param, ctx)
        for each in numbers:
            _checked(self, each, param, ctx)
        return numbers


def _checked(
    type_: Number | Integer | FiniteFloat | Int64 | NumberList,
    value: Any,
    param: click.Parameter | None,
    ctx: click.Context | None,
) -> Any:
    if value not in type_.range:
        plain = isinstance(type_, FiniteFloat | Int64)
        wanted = ("a finite number" if isinstance(type_, FiniteFloat) else "an integer of 64 bits") if plain else ""
        type_.fail(f"found {shortened(value)}, expected {wanted or type_.range}.", param, ctx)
    return value


def _shown(range: Range) -> float | None:  # noqa: A002 - what it is
    return range.high if range.high < SHOWN_LIMIT else None
