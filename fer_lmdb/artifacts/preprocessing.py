"""Preprocessing as it is stored in manifests, models and ONNX files."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator

from fer_lmdb.errors import DetectorError
from fer_lmdb.faces.preprocessing import Preprocessing
from fer_lmdb.renames import modernize


def _check(values: dict[str, Any]) -> dict[str, Any]:
    try:
        Preprocessing.from_dict(values)
    except (DetectorError, TypeError) as error:
        raise ValueError(f"the settings of a preprocessing ({error})") from None
    return modernize("preprocessing", values)


StoredPreprocessing = Annotated[dict[str, Any], AfterValidator(_check)]
