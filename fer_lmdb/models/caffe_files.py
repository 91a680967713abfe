"""Find and read Caffe's files of a model: deploy prototxt, caffemodel, mean and the comment that `export` writes."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import prototxt_like as pl
from fer_lmdb.errors import ModelError
from fer_lmdb.faces.preprocessing import Preprocessing

AnyPath = str | os.PathLike[str]

CLASSES_COMMENT = "# Classes: "
PREPROCESSING_COMMENT = "# Faces: "
_INPUT = re.compile(r"^# Input: an? .* of (\d+) x \d+, values 0-255, after this TEST transform:$", re.M)
_HEAD_CHARACTERS = 20_000


@dataclass(frozen=True)
class CaffeFiles:
    """Files of one model.

    Attributes:
        deploy: Deploy prototxt.
        caffemodel: Weights.
        mean: Mean image in the same folder; None if there is not exactly one.
    """

    deploy: Path
    caffemodel: Path
    mean: Path | None = None


@dataclass(frozen=True)
class ExportComment:
    """Comment at the top of a deploy prototxt that `export` wrote.

    Attributes:
        size: Side of a face before the transform.
        transform: TransformationParameter of the TEST phase.
        classes: Class names in label order; None in files of earlier versions.
        preprocessing: Face detection and alignment; None in files of earlier versions.
    """

    size: int
    transform: pl.TransformationParameter
    classes: tuple[str, ...] | None
    preprocessing: Preprocessing | None


def is_caffe_folder(folder: Path) -> bool:
    """Return whether a folder contains a prototxt and a caffemodel."""
    return folder.is_dir() and any(folder.glob("*.caffemodel")) and any(folder.glob("*.prototxt"))


def find_caffe_files(deploy: AnyPath, caffemodel: AnyPath | None = None) -> CaffeFiles:
    """Return the files of a model.

    Args:
        deploy: Folder, or deploy prototxt.
        caffemodel: Weights; None for those in the folder.

    Raises:
        ModelError: If a file is missing, or there are several.
    """
    path = Path(deploy)
    if not path.is_dir():
        if caffemodel is None:
            raise ModelError(f"{path}: found no weights, expected a folder with both files, or --caffemodel FILE")
        return CaffeFiles(path, Path(caffemodel))
    nets = sorted(path.glob("*.prototxt"))
    deploys = [net for net in nets if "deploy" in net.name.lower()] or [net for net in nets if not _is_training(net)]
    weights = [Path(caffemodel)] if caffemodel is not None else sorted(path.glob("*.caffemodel"))
    means = sorted(path.glob("*.binaryproto"))
    return CaffeFiles(
        _single(path, deploys, "deploy prototxt", "pass the prototxt"),
        _single(path, weights, "caffemodel", "pass one with --caffemodel"),
        means[0] if len(means) == 1 else None,
    )


def _is_training(path: Path) -> bool:
    return any(word in path.name.lower() for word in ("solver", "train"))


def _single(folder: Path, found: list[Path], what: str, way_out: str) -> Path:
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise ModelError(f"{folder}: found {names}, expected one {what}; {way_out}")
    return found[0]


def read_mean_option(value: str, channels: int) -> tuple[np.ndarray | None, list[float]]:
    """Return the mean image of a file, or the mean values of a list.

    Args:
        value: Path of a binaryproto, or numbers separated by commas.
        channels: Channels of the net's input.

    Raises:
        ModelError: If the number of channels differs.
        FileError: If the file cannot be read.
    """
    try:
        values = [float(word) for word in value.split(",")]
    except ValueError:
        mean = pl.read_mean(value)
        if mean.shape[0] != channels:
            raise ModelError(f"{value}: found {mean.shape[0]} channels, expected {channels} as in the net") from None
        return mean, []
    if len(values) not in (1, channels):
        raise ModelError(f"found {len(values)} mean values, expected 1 or {channels}, the channels of the net")
    return None, values


def read_export_comment(deploy: Path) -> ExportComment | None:
    """Return the comment that `export` writes at the top of a deploy prototxt; None if there is none."""
    try:
        text = deploy.read_text(encoding="utf-8", errors="replace")[:_HEAD_CHARACTERS]
    except OSError:
        return None
    found = _INPUT.search(text)
    if found is None:
        return None
    lines: list[str] = []
    for line in text[found.end() :].lstrip("\n").splitlines():
        if not line.startswith("#   "):
            break
        lines.append(line[4:])
    try:
        transform = pl.parse_transform("\n".join(line for line in lines if line != "none"))
        classes = _json_after(text, CLASSES_COMMENT)
        preprocessing = _json_after(text, PREPROCESSING_COMMENT)
        return ExportComment(
            int(found[1]),
            transform,
            None if classes is None else tuple(map(str, classes)),
            None if preprocessing is None else Preprocessing.from_dict(preprocessing),
        )
    except (pl.PrototxtLikeError, ValueError, TypeError):
        return None


def _json_after(text: str, start: str) -> Any:
    line = next((line for line in text.splitlines() if line.startswith(start)), None)
    return None if line is None else json.loads(line[len(start) :])
