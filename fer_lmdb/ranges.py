"""Ranges of numeric options, each defined once: the command line and the constructors of the library check them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral, Real

from fer_lmdb.errors import FerLmdbError, OptionError

MAX_INT32 = 2**31 - 1
MAX_INT64 = 2**63 - 1
MAX_SHOWN = 40
"""Characters of a wrong value that a message shows."""


@dataclass(frozen=True)
class Range:
    """Numbers that an option accepts; NaN and infinity are never among them.

    Attributes:
        low: Smallest number.
        high: Largest number.
        low_open: Whether `low` itself is excluded.
        high_open: Whether `high` itself is excluded.
        integer: Whether only integers are accepted.
    """

    low: float
    high: float
    low_open: bool = False
    high_open: bool = False
    integer: bool = False

    def __contains__(self, value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, Integral if self.integer else Real):
            return False
        if not isinstance(value, Integral) and not math.isfinite(value):
            return False
        number = int(value) if isinstance(value, Integral) else float(value)
        above = number > self.low if self.low_open else number >= self.low
        below = number < self.high if self.high_open else number <= self.high
        return above and below

    def __str__(self) -> str:
        noun = "an integer" if self.integer else "a number"
        if not self.low_open and not self.high_open:
            return f"{noun} from {self.low:.12g} to {self.high:.12g}"
        low = f"{'above' if self.low_open else 'of at least'} {self.low:.12g}"
        return f"{noun} {low} and {'below' if self.high_open else 'at most'} {self.high:.12g}"

    def check(self, name: str, value: object, error: type[FerLmdbError] = OptionError) -> None:
        """Check the value of an option.

        Args:
            name: Name of the option for the message.
            value: The value.
            error: Class of the error.

        Raises:
            FerLmdbError: If the value is not a number of the range.
        """
        if value not in self:
            raise error(f"invalid {name}: found {shortened(value)}, expected {self}; pass another value")


def shortened(value: object) -> str:
    """Return a value as one short line for a message."""
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # an integer of more than 4300 digits
        text = type(value).__name__
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 3]}..."


PROBABILITY = Range(0, 1)
SEED = Range(0, MAX_INT64, integer=True)
POSITIVE = Range(0, 1e9, low_open=True)
NON_NEGATIVE = Range(0, 1e9)
COUNT = Range(1, MAX_INT32, integer=True)

# preprocessing
MIN_FACE = Range(1, 1e6)
DETECTOR_THRESHOLD = Range(0, 1e6)
FACE_SIZE = Range(8, 1024, integer=True)
STORED_SIZE = Range(1, 4096, integer=True)
MARGIN = Range(-0.5, 10, low_open=True)
RETRY_PAD = Range(0, 10)
RETRY_UPSCALE = Range(0, 16, low_open=True)

# build
SHARDS = Range(1, 99_999, integer=True)

# train
WORKERS = Range(0, 256, integer=True)
BELOW_1 = Range(0, 1, high_open=True)
INSIDE_0_1 = Range(0, 1, low_open=True, high_open=True)
DEGREES = Range(0, 180)
SHEAR = Range(0, 90, high_open=True)

# predict and watch
DETECT_EVERY = COUNT
FPS = Range(0, 1000, low_open=True)
TOP_K = COUNT

# serve
PORT = Range(0, 65_535, integer=True)
PROCESSES = Range(1, 64, integer=True)
QUEUE = Range(1, 10_000, integer=True)
PER_CLIENT = Range(1, 10_000, integer=True)
MEGABYTES = Range(0.01, 100)
MEGAPIXELS = Range(0.01, 100)
TIME_LIMIT = Range(0.1, 86_400)
