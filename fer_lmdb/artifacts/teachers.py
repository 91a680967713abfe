"""Teacher probabilities of a run: the texts of their safetensors metadata."""

from __future__ import annotations

from typing import Final, Literal

from fer_lmdb.artifacts.base import Artifact

FORMAT: Final = "fer-lmdb teacher probabilities 1"


class TeacherTexts(Artifact):
    """Texts of a file of teacher probabilities; version 0.1.0 wrote none."""

    format: Literal["fer-lmdb teacher probabilities 1"] = FORMAT
