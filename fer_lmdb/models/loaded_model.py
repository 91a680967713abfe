"""Model for use in Python: the contents of the file with its net, transform and classifier."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

import prototxt_like as pl
from fer_lmdb.models import registry
from fer_lmdb.models.calibration import apply_temperature
from fer_lmdb.models.classifier import Classifier
from fer_lmdb.models.model import Model
from fer_lmdb.models.registry import ModelSource
from fer_lmdb.runtime.device import resolve_device, resolve_dtype


@dataclass(frozen=True)
class LoadedModel(Model):
    """Model with its net on a device; `evaluate` and `export` take it like any `Model`.

    Attributes:
        device: Torch device: "auto", "cpu", "cuda", ...
        precision: Compute dtype: "float32", "bfloat16", or "auto".
    """

    device: str = "auto"
    precision: str = "float32"

    @cached_property
    def classifier(self) -> Classifier:
        """Classifier of the model, built on first use."""
        device = resolve_device(self.device)
        return Classifier(self, device, resolve_dtype(self.precision, device))

    @cached_property
    def net(self) -> pl.Net:
        """The net as an `nn.Module` in evaluation mode: transformed faces -> uncalibrated probabilities; trainable."""
        net = pl.Net(pl.parse_net(self.deploy_prototxt), phase="TEST").eval()
        with torch.no_grad():
            for layer, blobs in net.params.items():
                for index, blob in enumerate(blobs):
                    blob.copy_(self.weights[f"{layer}/{index}"])
        return net.to(self.classifier.device)

    @property
    def transform(self) -> pl.Transform:
        """Transform of the TEST phase: (N, 1, H, W) uint8 faces -> float32 input of the net."""
        return self.classifier.transform

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in label order."""
        return self.scheme.classes

    def predict_proba(self, faces: NDArray[np.uint8] | torch.Tensor, tta: int = 1) -> NDArray[np.float32]:
        """Return the calibrated probabilities of aligned faces.

        Args:
            faces: (N, 1, H, W) uint8 gray, 0-255, of the size that the model was trained on (48 x 48).
            tta: Number of TTA views averaged per face: 1, 2, 4 or 10.

        Returns:
            (N, classes) float32; rows sum to 1.

        Raises:
            ModelError: If the number of TTA views is not supported.
        """
        return apply_temperature(self.classifier.probabilities(faces, tta), self.metadata.temperature)


def load_model(source: ModelSource, *, device: str = "auto", precision: str = "float32") -> LoadedModel:
    """Load a model for use in Python.

    Args:
        source: Pretrained name, model file, run folder (its best model) or name of a run in runs/.
        device: Torch device: "auto" (a GPU if available), "cpu", "cuda", ...
        precision: Compute dtype: "float32", "bfloat16", or "auto" for bfloat16 if the device supports it natively.

    Raises:
        ModelError: If there is no such model, or the file is damaged or not a model.
    """
    model = registry.load_model(source)
    contents = {each.name: getattr(model, each.name) for each in fields(model)}
    return LoadedModel(**contents, device=device, precision=precision)
