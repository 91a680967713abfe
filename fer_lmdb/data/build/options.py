"""How a data set is built, and how the building tells where it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from fer_lmdb.data.lmdb_store import Encoding
from fer_lmdb.faces.preprocessing import Preprocessing
from fer_lmdb.labels import FER2013, LabelScheme

ProgressCallback = Callable[[str, int, "int | None"], None]
"""Called with the stage ("read", "write train", "check"), how much of it is done and, where known, how much it is."""


@dataclass(frozen=True)
class BuildOptions:
    """How a data set is built; every field is an option of ``fer-lmdb build``.

    Attributes:
        preprocessing: how pictures become faces.
        scheme: the classes and their order.
        on_miss: whether a picture in which no face is found is kept as it is or dropped.
        seed: of the shuffle.
        encode: how a Datum holds its picture.
        skip_bad: leave out rows and files that cannot be used, instead of stopping at the first.
        device: where the face detector runs.
        engine: who finds the faces: "local", this process, or "ray", a cluster; the data set is the same.
        shards: into how many databases each split is cut; None for one under its plain name.
    """

    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    scheme: LabelScheme = FER2013
    on_miss: Literal["keep", "drop"] = "keep"
    seed: int = 0
    encode: Encoding = "raw"
    skip_bad: bool = False
    device: str = "cpu"
    shards: int | None = None
    engine: str = "local"


def no_progress(stage: str, done: int, total: int | None) -> None:
    """Progress that nobody looks at."""
