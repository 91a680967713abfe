"""run.json: options, data and versions of a training run."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from fer_lmdb.artifacts.base import Artifact, Positive
from fer_lmdb.artifacts.fingerprint import Fingerprint
from fer_lmdb.renames import modernize

FORMAT: Final = "fer-lmdb run 1"


def _modern(options: Any) -> Any:
    return modernize("run.json, options", options) if isinstance(options, dict) else options


def _option(value: Any) -> Any:
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return value
    if value is not None and not isinstance(value, str | bool | int | float):
        raise ValueError("a text, a number, true, false, null or a list of texts")
    return value


Option = Annotated[Any, AfterValidator(_option)]
Options = Annotated[dict[str, Option], BeforeValidator(_modern)]


class RunConfig(Artifact):
    """Contents of run.json. `TrainOptions` checks the options themselves; version 0.1.0 wrote no format."""

    format: Literal["fer-lmdb run 1"] = FORMAT
    options: Options
    epoch_size: Positive
    data: Fingerprint = Field(default_factory=Fingerprint)
    versions: dict[str, Any] = Field(default_factory=dict)
