"""A model is one file: weights, deploy net, mean image, label scheme and how it was made.

The file is a .safetensors: tensors plus a table of texts. Nothing in it can be executed.

    tensors   "<layer>/<i>"   blob i of that layer in Caffe's order, float32 or float16
              "mean"          (1, H, W) float32, absent where the net needs none
    texts     format          "fer-lmdb model 1"
              name, net       the zoo net's name; deploy.prototxt
              transform       TransformationParameter of the TEST phase, as text
              scheme, classes label scheme and class names in label order (JSON)
              preprocessing   how a picture becomes the face that the net was trained on (JSON)
              metadata        data, recipe, seed, evaluations (JSON); "facts" in files of version 0.1.0
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
from safetensors.torch import save_file

import prototxt_like as pl
from fer_lmdb.errors import ModelError
from fer_lmdb.faces.preprocessing import Preprocessing
from fer_lmdb.io.atomic import atomic_file
from fer_lmdb.labels import LabelScheme
from fer_lmdb.renames import modernize
from prototxt_like.suggest import did_you_mean

FORMAT = "fer-lmdb model 1"
PRETRAINED_DIR = Path(__file__).parent / "pretrained"
DEFAULT_MODEL = "fer_mini"
# Small blobs (biases, BatchNorm's sums, which exceed half precision's range) cost little and stay exact.
MIN_HALF_NUMEL = 4096


@dataclass(frozen=True)
class Model:
    """What a model file holds.

    Attributes:
        name: the net's name in the zoo.
        deploy_prototxt: deploy.prototxt; one input blob, one output blob of probabilities.
        transform_prototxt: TransformationParameter of the TEST phase (crop_size, scale, ...).
        weights: blob tensors by "<layer>/<i>".
        mean: (1, H, W) float32 in 0-255, or None.
        scheme: class names; their position is the label.
        preprocessing: how a picture becomes a face of the training's kind.
        metadata: data, recipe, seed, figures; plain JSON values.
    """

    name: str
    deploy_prototxt: str
    transform_prototxt: str
    weights: Mapping[str, torch.Tensor]
    mean: np.ndarray | None
    scheme: LabelScheme
    preprocessing: Preprocessing
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def parameters(self) -> int:
        """Return the number of stored weights."""
        return sum(tensor.numel() for tensor in self.weights.values())

    @property
    def augmentation(self) -> pl.TransformationParameter:
        """Return how the training moved and lit its faces; an empty one where the file does not say.

        Raises:
            ModelError: what the file says is no transform_param.
        """
        recipe = self.metadata.get("recipe")
        text = recipe.get("transform", "") if isinstance(recipe, dict) else ""
        try:
            return pl.Transform(pl.parse_transform(str(text)), "TRAIN").parameter
        except pl.PrototxtLikeError as error:
            raise ModelError(f"{self.name}: the recipe's transform is damaged: {error}") from None

    def half(self) -> Model:
        """Return the same model with its large blobs in half precision."""

        def halve(tensor: torch.Tensor) -> torch.Tensor:
            return tensor.half() if tensor.numel() >= MIN_HALF_NUMEL else tensor

        return replace(self, weights={key: halve(tensor) for key, tensor in self.weights.items()})

    def save(self, path: str | Path) -> None:
        """Write the model to a file, complete or not at all."""
        tensors = {key: tensor.detach().cpu().contiguous() for key, tensor in self.weights.items()}
        if self.mean is not None:
            tensors["mean"] = torch.from_numpy(np.ascontiguousarray(self.mean, dtype=np.float32))
        with atomic_file(Path(path)) as partial:
            save_file(tensors, partial, metadata=self._to_metadata())

    def _to_metadata(self) -> dict[str, str]:
        return {
            "format": FORMAT,
            "name": self.name,
            "net": self.deploy_prototxt,
            "transform": self.transform_prototxt,
            "scheme": self.scheme.name,
            "classes": json.dumps(self.scheme.classes),
            "preprocessing": json.dumps(self.preprocessing.to_dict()),
            "metadata": json.dumps(self.metadata),
        }


def load_model(name_or_path: str | Path) -> Model:
    """Load a shipped model by name, a model file, or the best model of a run folder.

    Raises:
        ModelError: there is no such model, or the file is damaged or not a model.
    """
    path = resolve_model(name_or_path)
    try:
        with safe_open(path, framework="pt") as file:
            texts = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path}: not a readable .safetensors file ({error}); download or export it again") from error
    return _parse(path, texts, tensors)


def _parse(path: Path, texts: Mapping[str, str], tensors: dict[str, torch.Tensor]) -> Model:
    texts = modernize("model and snapshot file", texts)
    if texts.get("format") != FORMAT:
        found = texts.get("format", "no format mark")
        raise ModelError(f'{path}: found {found}, expected "{FORMAT}"; is this a model written by fer-lmdb?')
    try:
        classes = tuple(str(name) for name in json.loads(texts["classes"]))
        mean = tensors.pop("mean", None)
        return Model(
            name=texts["name"],
            deploy_prototxt=texts["net"],
            transform_prototxt=texts["transform"],
            weights=tensors,
            mean=None if mean is None else mean.numpy(),
            scheme=LabelScheme(texts["scheme"], classes),
            preprocessing=Preprocessing.from_dict(json.loads(texts["preprocessing"])),
            metadata=_modern_metadata(json.loads(texts["metadata"])),
        )
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise ModelError(f"{path}: the model's description is damaged ({error!r}); export the model again") from error


def _modern_metadata(stored: dict[str, Any]) -> dict[str, Any]:
    """Return metadata under today's keys."""
    metadata = modernize("model metadata", stored)
    if isinstance(evaluations := metadata.get("evaluations"), list):
        metadata["evaluations"] = [modernize("evaluation", evaluation) for evaluation in evaluations]
    if isinstance(init := metadata.get("init"), dict):
        metadata["init"] = modernize("model metadata, init", init)
    if isinstance(recipe := metadata.get("recipe"), dict) and isinstance(options := recipe.get("options"), dict):
        metadata["recipe"] = {**recipe, "options": modernize("run.json, options", options)}
    return metadata


def resolve_model(name_or_path: str | Path) -> Path:
    """Return the file of a model given as a shipped name, a file or a run folder.

    Raises:
        ModelError: none of the three.
    """
    if str(name_or_path) in list_pretrained():  # an absolute path would leave the folder of shipped models
        return PRETRAINED_DIR / f"{name_or_path}.safetensors"
    path = Path(name_or_path)
    if path.is_dir():
        return _best_of_run(path)
    if path.is_file():
        return path
    known = [*list_pretrained(), *(folder.parent.as_posix() for folder in Path("runs").glob("*/best.safetensors"))]
    hint = did_you_mean(str(name_or_path), known)
    raise ModelError(f'no model "{name_or_path}": neither a file, a run folder nor a shipped model{hint}')


def _best_of_run(folder: Path) -> Path:
    for name in ("best.safetensors", "last.safetensors"):
        if (folder / name).is_file():
            return folder / name
    raise ModelError(f"{folder}: no best.safetensors in this folder; is it a run whose first epoch is done?")


def list_pretrained() -> list[str]:
    """Return the names of the models that come with the package."""
    return sorted(path.stem for path in PRETRAINED_DIR.glob("*.safetensors"))
