"""Labels and settings inside an exported ONNX file: its metadata_props."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from fer_lmdb.artifacts.base import Artifact, ClassNames
from fer_lmdb.artifacts.preprocessing import StoredPreprocessing

FORMAT = "fer-lmdb onnx 1"
ENCODED = ("classes", "preprocessing", "figures", "data", "int8")
"""Texts that contain JSON."""


class OnnxTexts(Artifact):
    """Texts of an ONNX file, JSON decoded."""

    format: Literal["fer-lmdb onnx 1"]
    name: str
    scheme: str
    classes: ClassNames
    preprocessing: StoredPreprocessing
    figures: list[dict[str, Any]] = Field(default_factory=list)
    data: dict[str, Any] | None = None
    int8: dict[str, Any] | None = None
