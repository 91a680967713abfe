"""A model ready to classify faces: transform, net, averaged views."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

import prototxt_like as pl
from fer_lmdb.errors import ModelError
from fer_lmdb.models import tta as views
from fer_lmdb.models.model import Model

BATCH_SIZE = 256
MIN_VALUE_BUDGET = 1 << 26
"""Values in a blob, and in all parameters of a net, that any model may ask for: 256 MB."""


class Classifier:
    """Turns faces into probabilities, in evaluation mode.

    Args:
        model: what classifies.
        device: where.
        precision: float32, or bfloat16 for convolutions and products; twice as fast on processors that compute in it.

    Attributes:
        net_unfused: the net as the model describes it.
        net: the same with BatchNorm merged into convolutions; this one runs.
    """

    def __init__(
        self, model: Model, device: str | torch.device = "cpu", precision: torch.dtype = torch.float32
    ) -> None:
        self.scheme = model.scheme
        self.device = torch.device(device)
        self.precision = precision
        # A file of a thousand bytes may describe a net of gigabytes: none larger than its weights is built.
        most = max(model.parameters, MIN_VALUE_BUDGET)
        self.net_unfused = pl.Net(pl.parse_net(model.deploy_prototxt), phase="TEST", max_values=most).eval()
        if len(self.net_unfused.inputs) != 1 or len(self.net_unfused.outputs) != 1:
            inputs, outputs = ", ".join(self.net_unfused.inputs), ", ".join(self.net_unfused.outputs)
            raise ModelError(f"the net takes ({inputs}) and gives ({outputs}); expected one blob of each")
        self.load_weights(model.weights)
        parameter = pl.parse_transform(model.transform_prototxt)
        mean = None if model.mean is None else torch.from_numpy(model.mean)
        self.transform = pl.Transform(parameter, "TEST", mean=mean)
        self.tta_range = views.TtaRange.of(model.augmentation)

    def load_weights(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Copy blobs into the net, and merge into its convolutions what can be.

        Raises:
            ModelError: a blob is missing, left over or of another shape.
        """
        wanted = {
            f"{layer}/{i}": blob for layer, blobs in self.net_unfused.params.items() for i, blob in enumerate(blobs)
        }
        odd = sorted(wanted.keys() ^ weights.keys())
        if odd:
            raise ModelError(f"weights and net do not belong together; only in one of them: {', '.join(odd[:5])}")
        with torch.no_grad():
            for key, blob in wanted.items():
                if blob.shape != weights[key].shape:
                    raise ModelError(f"{key}: found {tuple(weights[key].shape)}, expected {tuple(blob.shape)}")
                blob.copy_(weights[key])
        self.net = pl.fold_batch_norm(self.net_unfused)
        self.net.to(self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.inference_mode()
    def probabilities(self, faces: np.ndarray | torch.Tensor, tta: int = 1) -> np.ndarray:
        """Classify faces.

        Args:
            faces: (N, 1, H, W) uint8, grey, of the size that the model was trained on.
            tta: number of views whose probabilities are averaged: 1, 2, 4 or 10, as `fer_lmdb.models.tta` says.
        Returns:
            (N, classes) float32; each row sums to 1.
        Raises:
            ModelError: a number of views that does not exist.
        """
        if tta not in views.COUNTS:
            raise ModelError(f"{tta} views asked for; there are {', '.join(map(str, views.COUNTS))}")
        faces = torch.as_tensor(faces)
        rows = [
            self._batch(faces[start : start + BATCH_SIZE].to(self.device), tta)
            for start in range(0, len(faces), BATCH_SIZE)
        ]
        if not rows:
            return np.zeros((0, len(self.scheme)), dtype=np.float32)
        return torch.cat(rows).cpu().numpy()

    def _batch(self, faces: torch.Tensor, tta: int) -> torch.Tensor:
        outputs = [self.forward(view) for view in views.make_views(faces, self.transform, tta, self.tta_range)]
        return torch.stack(outputs).mean(dim=0)

    def forward(self, data: torch.Tensor) -> torch.Tensor:
        """Return the probabilities of faces that are transformed already.

        Args:
            data: (N, C, crop, crop) float32, as the net takes them, on its device.
        Returns:
            (N, classes) float32; rows sum to 1.
        """
        data = data.contiguous(memory_format=torch.channels_last)
        (name,) = self.net.inputs
        with torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32):
            (output,) = self.net(**{name: data}).values()
        return output.reshape(len(data), -1).float()


def check_finite(probabilities: NDArray[np.floating], name: str = "the model") -> None:
    """Refuse what a net that has diverged gives.

    Args:
        probabilities: (N, C).
        name: who gives them.
    Raises:
        ModelError: one is nan or infinite.
    """
    odd = np.count_nonzero(~np.isfinite(probabilities).all(axis=1))
    if odd:
        raise ModelError(
            f"{name} gives nan for {odd} of {len(probabilities)} faces, expected probabilities; its training has "
            "diverged: train again with a lower --base-lr, or take another model"
        )
