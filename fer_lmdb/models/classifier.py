"""Classifier: a model's net and transform, ready to predict on aligned faces."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

import prototxt_like as pl
from fer_lmdb.choices import TTA_VIEWS
from fer_lmdb.errors import ModelError
from fer_lmdb.models.model import Model
from fer_lmdb.models.tta import TtaRange, make_views

BATCH_SIZE = 256
MIN_VALUE_BUDGET = 1 << 26
"""Values that a blob, and all parameters together, may have in any model: 256 MB of float32."""


class Classifier:
    """Predict expression probabilities of faces, in evaluation mode and without the temperature of the calibration.

    Args:
        model: Model to run.
        device: Torch device.
        precision: Compute dtype of convolutions and products: float32, or bfloat16, which is twice as fast on
            processors with native support.

    Attributes:
        scheme: Label scheme of the probabilities.
        net: Net with BatchNorm folded into the convolutions; used for inference.
        net_unfused: Net as the model's deploy.prototxt describes it.
        transform: Transform of the TEST phase.
        tta_range: Zoom and rotation of the TTA views.
    """

    def __init__(
        self, model: Model, device: str | torch.device = "cpu", precision: torch.dtype = torch.float32
    ) -> None:
        self.scheme = model.scheme
        self.device = torch.device(device)
        self.precision = precision
        # A prototxt of a thousand bytes can describe a net of gigabytes, so the net is limited to the size of the file.
        max_values = max(model.parameters, MIN_VALUE_BUDGET)
        self.net_unfused = pl.Net(pl.parse_net(model.deploy_prototxt), phase="TEST", max_values=max_values).eval()
        if len(self.net_unfused.inputs) != 1 or len(self.net_unfused.outputs) != 1:
            inputs, outputs = ", ".join(self.net_unfused.inputs), ", ".join(self.net_unfused.outputs)
            raise ModelError(f"the net has inputs ({inputs}) and outputs ({outputs}); expected one of each")
        self.load_weights(model.weights)
        parameter = pl.parse_transform(model.transform_prototxt)
        mean = None if model.mean is None else torch.from_numpy(model.mean)
        self.transform = pl.Transform(parameter, "TEST", mean=mean)
        self.tta_range = TtaRange.of(model.augmentation)

    def load_weights(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Copy blobs into the net, and fold BatchNorm into the convolutions.

        Args:
            weights: Blobs by "<layer>/<i>".

        Raises:
            ModelError: If a blob is missing, unexpected or has a different shape.
        """
        own = {f"{layer}/{i}": blob for layer, blobs in self.net_unfused.params.items() for i, blob in enumerate(blobs)}
        odd = sorted(own.keys() ^ weights.keys())
        if odd:
            raise ModelError(f"weights and net do not match; blobs in only one of them: {', '.join(odd[:5])}")
        with torch.no_grad():
            for key, blob in own.items():
                if blob.shape != weights[key].shape:
                    raise ModelError(f"{key}: found {tuple(weights[key].shape)}, expected {tuple(blob.shape)}")
                blob.copy_(weights[key])
        self.net = pl.fold_batch_norm(self.net_unfused)
        self.net.to(self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.inference_mode()
    def probabilities(self, faces: np.ndarray | torch.Tensor, tta: int = 1) -> np.ndarray:
        """Return the probabilities of faces.

        Args:
            faces: (N, C, H, W) uint8, 0-255, of the size and channels that the model was trained on.
            tta: Number of TTA views averaged per face: 1, 2, 4 or 10, see `fer_lmdb.models.tta`.

        Returns:
            (N, classes) float32; rows sum to 1.

        Raises:
            ModelError: If the number of TTA views is not supported.
        """
        if tta not in TTA_VIEWS:
            raise ModelError(f"{tta} TTA views are not supported; use one of {', '.join(map(str, TTA_VIEWS))}")
        faces = torch.as_tensor(faces)
        rows = [
            self._batch(faces[start : start + BATCH_SIZE].to(self.device), tta)
            for start in range(0, len(faces), BATCH_SIZE)
        ]
        if not rows:
            return np.zeros((0, len(self.scheme)), dtype=np.float32)
        return torch.cat(rows).cpu().numpy()

    def _batch(self, faces: torch.Tensor, tta: int) -> torch.Tensor:
        outputs = [self.forward(view) for view in make_views(faces, self.transform, tta, self.tta_range)]
        return torch.stack(outputs).mean(dim=0)

    def forward(self, data: torch.Tensor) -> torch.Tensor:
        """Return the probabilities of transformed faces.

        Args:
            data: (N, C, crop, crop) float32 input of the net, on its device.

        Returns:
            (N, classes) float32; rows sum to 1.
        """
        data = data.contiguous(memory_format=torch.channels_last)
        (name,) = self.net.inputs
        with torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32):
            (output,) = self.net(**{name: data}).values()
        return output.reshape(len(data), -1).float()


def check_finite(probabilities: NDArray[np.floating], name: str) -> None:
    """Check the output of a model.

    Args:
        probabilities: (N, C).
        name: Name of the model, for the message.

    Raises:
        ModelError: If a probability is NaN or infinite (the training diverged).
    """
    odd = np.count_nonzero(~np.isfinite(probabilities).all(axis=1))
    if odd:
        raise ModelError(
            f"{name} returns NaN for {odd} of {len(probabilities)} faces, expected probabilities; its training "
            "diverged: train again with a lower --base-lr, or use another model"
        )
