"""Detections of a data set's faces: a line of detections.jsonl."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from fer_lmdb.artifacts.base import Artifact, Number, Split, Text

Pair = Annotated[list[Number], Field(min_length=2, max_length=2)]
Row = Annotated[list[Number], Field(min_length=3, max_length=3)]


class Detection(Artifact):
    """Box, score, landmarks and transform of a face, or the name of a dropped image."""

    renamed: ClassVar[str] = "detections.jsonl"

    split: Split
    key: Text | None = None
    name: Text | None = None
    box: Annotated[list[Number], Field(min_length=4, max_length=4)] | None = None
    score: Number | None = None
    landmarks: list[Pair] | None = None
    transform: Annotated[list[Row], Field(min_length=2, max_length=2)] | None = None
    state: Literal["aligned", "unaligned", "dropped"]
