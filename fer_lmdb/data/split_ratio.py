"""Ratio of the random splits of a source that has none."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from fer_lmdb.errors import OptionError


@dataclass(frozen=True)
class SplitRatio:
    """Relative sizes of the splits, e.g. 80, 10, 10.

    Attributes:
        train: Size of the training split, above 0.
        val: Size of the validation split.
        test: Size of the test split.
    """

    train: float
    val: float
    test: float = 0.0

    def __post_init__(self) -> None:
        sizes = (self.train, self.val, self.test)
        if not all(math.isfinite(size) and size >= 0 for size in sizes) or self.train == 0:
            raise OptionError(f"invalid split ratio: found {self}, expected numbers such as 80/10/10 or 90/10")

    def __str__(self) -> str:
        return "/".join(f"{size:g}" for size in (self.train, self.val, self.test))

    @staticmethod
    def parse(text: str) -> SplitRatio:
        """Parse a ratio of train, val and optionally test, e.g. 80/10/10 or 0.9:0.1.

        Raises:
            OptionError: If it is not a ratio of two or three numbers that add up to 100 or 1.
        """
        try:
            sizes = [float(size) for size in re.split("[/:,]", text)]
        except ValueError:
            sizes = []
        if len(sizes) not in (2, 3) or not any(math.isclose(sum(sizes), total, rel_tol=1e-6) for total in (1, 100)):
            raise OptionError(
                f'invalid split ratio: found "{text}", expected train/val/test or train/val that add up to 100, e.g.'
                " 80/10/10"
            )
        return SplitRatio(*sizes)

    def held_out(self, *, test: bool) -> dict[str, float]:
        """Return the fraction of the faces for each split other than train.

        Args:
            test: Whether a test split is needed; otherwise train and val share all faces.
        """
        if test:
            total = self.train + self.val + self.test
            return {"test": self.test / total, "val": self.val / total}
        return {"val": self.val / (self.train + self.val)}


DEFAULT_RATIO = SplitRatio(80, 10, 10)
