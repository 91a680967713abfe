"""Model file: the texts of its safetensors metadata."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from fer_lmdb.artifacts.base import Artifact, ClassNames, Count, Number, Text
from fer_lmdb.artifacts.evaluation import EvaluationSummary
from fer_lmdb.artifacts.fingerprint import Fingerprint
from fer_lmdb.artifacts.preprocessing import StoredPreprocessing
from fer_lmdb.artifacts.run_config import Options

FORMAT = "fer-lmdb model 1"
ENCODED = ("classes", "preprocessing", "metadata")
"""Texts that contain JSON."""


class InitRecord(Artifact):
    """Model that the weights were initialized from."""

    renamed: ClassVar[str] = "model metadata, init"

    source: Text = ""
    loaded: list[str] = Field(default_factory=list)
    reinitialized: list[str] = Field(default_factory=list)
    trained_on: dict[str, list[str]] = Field(default_factory=dict)


class RecipeRecord(Artifact):
    """Options, solver and TRAIN transform of the training."""

    options: Options = Field(default_factory=dict)
    epoch_size: Count | None = None
    solver: str | None = None
    transform: str = ""
    precision: str | None = None


class EpochOfModel(Artifact):
    """Log record of the epoch that a model was saved at; the iteration alone between epochs."""

    epoch: Count | None = None
    iteration: Count | None = None
    lr: Number | None = None
    train_loss: Number | None = None
    val_loss: Number | None = None
    val_accuracy: Number | None = None


class Metadata(Artifact):
    """Training, data and evaluations of a model; all of it may be absent."""

    renamed: ClassVar[str] = "model metadata"

    init: InitRecord | None = None
    recipe: RecipeRecord | None = None
    data: Fingerprint | None = None
    selected: str | None = None
    epoch: EpochOfModel | None = None
    evaluations: list[EvaluationSummary] = Field(default_factory=list)
    versions: dict[str, Any] | None = None


class ModelTexts(Artifact):
    """Texts of a model file, JSON decoded."""

    renamed: ClassVar[str] = "model and snapshot file"

    format: Literal["fer-lmdb model 1"]
    name: Annotated[str, Field(min_length=1, max_length=1000)]
    net: str
    transform: str
    scheme: Annotated[str, Field(min_length=1, max_length=200)]
    classes: ClassNames
    preprocessing: StoredPreprocessing
    metadata: Metadata
