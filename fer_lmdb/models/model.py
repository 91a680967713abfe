"""Model file: weights, deploy net, mean image, label scheme and metadata in one .safetensors.

It consists of tensors and a table of texts; nothing in it is executed.

    tensors   "<layer>/<i>"   blob i of the layer in Caffe's order, float32 or float16
              "mean"          (C, H, W) float32; absent if the net uses no mean image
    texts     format          "fer-lmdb model 1"
              name, net       name of the zoo net; deploy.prototxt
              transform       TransformationParameter of the TEST phase, as text
              scheme, classes label scheme, class names in label order (JSON)
              preprocessing   face detection and alignment of the training data (JSON)
              metadata        training data, recipe, seed, evaluations (JSON); "facts" in files of version 0.1.0
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open

import prototxt_like as pl
from fer_lmdb.errors import ModelError
from fer_lmdb.faces.preprocessing import Preprocessing
from fer_lmdb.io.file_names import printable_path
from fer_lmdb.io.tensors import save_tensors
from fer_lmdb.labels import LabelScheme
from fer_lmdb.models.metadata import ModelMetadata
from fer_lmdb.ranges import shortened
from fer_lmdb.renames import modernize

FORMAT = "fer-lmdb model 1"
PRETRAINED_DIR = Path(__file__).parent / "pretrained"
MIN_HALF_NUMEL = 4096
"""Blobs with fewer values stay float32: biases and the sums of BatchNorm, which exceed the range of half precision."""


@dataclass(frozen=True)
class Model:
    """Contents of a model file.

    Attributes:
        name: Name of the net in the zoo.
        deploy_prototxt: deploy.prototxt with one input blob and one output blob of probabilities.
        transform_prototxt: TransformationParameter of the TEST phase (crop_size, scale, ...), as text.
        weights: Blobs by "<layer>/<i>".
        mean: (C, H, W) float32 in 0-255, or None.
        scheme: Label scheme; the position of a class name is its label.
        preprocessing: Face detection and alignment of the training data.
        metadata: Training data, recipe and evaluations.
    """

    name: str
    deploy_prototxt: str
    transform_prototxt: str
    weights: Mapping[str, torch.Tensor]
    mean: np.ndarray | None
    scheme: LabelScheme
    preprocessing: Preprocessing
    metadata: ModelMetadata = field(default_factory=ModelMetadata)

    @property
    def parameters(self) -> int:
        """Number of stored weights."""
        return sum(tensor.numel() for tensor in self.weights.values())

    @property
    def augmentation(self) -> pl.TransformationParameter:
        """Augmentation of the training; empty if the metadata do not contain it.

        Raises:
            ModelError: If the metadata contain an invalid transform_param.
        """
        try:
            return pl.Transform(pl.parse_transform(self.metadata.train_transform), "TRAIN").parameter
        except pl.PrototxtLikeError as error:
            raise ModelError(f"{self.name}: the recipe's transform is damaged: {error}") from None

    def half(self) -> Model:
        """Return the model with its large blobs in half precision."""

        def halve(tensor: torch.Tensor) -> torch.Tensor:
            return tensor.half() if tensor.numel() >= MIN_HALF_NUMEL else tensor

        return replace(self, weights={key: halve(tensor) for key, tensor in self.weights.items()})

    def save(self, path: str | Path) -> None:
        """Write the model file atomically.

        Raises:
            OSError: If it cannot be written, e.g. because the disk is full.
        """
        tensors = dict(self.weights)
        if self.mean is not None:
            tensors["mean"] = torch.from_numpy(np.ascontiguousarray(self.mean, dtype=np.float32))
        save_tensors(Path(path), tensors, self._to_texts())

    def _to_texts(self) -> dict[str, str]:
        return {
            "format": FORMAT,
            "name": self.name,
            "net": self.deploy_prototxt,
            "transform": self.transform_prototxt,
            "scheme": self.scheme.name,
            "classes": json.dumps(self.scheme.classes),
            "preprocessing": json.dumps(self.preprocessing.to_dict()),
            "metadata": json.dumps(self.metadata.to_dict()),
        }


def read_model(path: Path) -> Model:
    """Read a model file.

    Raises:
        ModelError: If the file cannot be read, is damaged or is not a fer-lmdb model.
    """
    try:
        with safe_open(path, framework="pt") as file:
            texts = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path}: not a readable .safetensors file ({error}); download or export it again") from error
    return _parse(path, texts, tensors)


def read_metadata(path: Path) -> ModelMetadata | None:
    """Return the metadata of a model file without loading its weights; None if they cannot be read."""
    try:
        with safe_open(path, framework="pt") as file:
            texts = modernize("model and snapshot file", file.metadata() or {})
        return ModelMetadata.from_dict(json.loads(texts["metadata"]))
    except (SafetensorError, OSError, KeyError, ValueError, TypeError, RecursionError):
        return None


def _parse(path: Path, texts: Mapping[str, str], tensors: dict[str, torch.Tensor]) -> Model:
    stored = _trusted(texts) if path.parent == PRETRAINED_DIR else _checked(path, texts)
    mean = tensors.pop("mean", None)
    _check_tensors(path, tensors, mean)
    return Model(
        name=stored["name"],
        deploy_prototxt=stored["net"],
        transform_prototxt=stored["transform"],
        weights=tensors,
        mean=None if mean is None else mean.numpy(),
        scheme=LabelScheme(stored["scheme"], tuple(stored["classes"])),
        preprocessing=Preprocessing.from_dict(stored["preprocessing"]),
        metadata=ModelMetadata.from_dict(stored["metadata"]),
    )


def _trusted(texts: Mapping[str, str]) -> dict[str, Any]:
    """Return the texts of a model of the package, which the tests check: importing pydantic takes 0.2 s."""
    table: dict[str, Any] = modernize("model and snapshot file", texts)
    return table | {name: json.loads(table[name]) for name in ("classes", "preprocessing", "metadata")}


def _checked(path: Path, texts: Mapping[str, str]) -> dict[str, Any]:
    from fer_lmdb.artifacts.base import parse_texts
    from fer_lmdb.artifacts.model_file import ENCODED, ModelTexts

    name, modern = printable_path(path), modernize("model and snapshot file", texts)
    if modern.get("format") != FORMAT:
        found = shortened(modern["format"]) if "format" in modern else "no format mark"
        raise ModelError(f'{name}: found {found}, expected "{FORMAT}"; use a model written by fer-lmdb')
    return parse_texts(ModelTexts, modern, ENCODED, name, ModelError, "export the model again").to_dict()


def _check_tensors(path: Path, weights: Mapping[str, torch.Tensor], mean: torch.Tensor | None) -> None:
    for key, blob in weights.items():
        if blob.dtype not in (torch.float32, torch.float16):
            found = str(blob.dtype).removeprefix("torch.")
            raise ModelError(
                f"{printable_path(path)}: invalid blob {shortened(key)}: found {found}, expected float32 or float16; "
                "export the model again"
            )
    if mean is not None and (mean.dtype != torch.float32 or mean.ndim != 3 or not mean.isfinite().all()):
        raise ModelError(
            f"{printable_path(path)}: invalid mean: found {tuple(mean.shape)} {mean.dtype}, "
            "expected finite float32 of three dimensions; export the model again"
        )
