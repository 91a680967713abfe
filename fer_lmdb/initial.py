"""Where fine-tuning starts: another model's weights, copied by layer name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

import prototxt_like as pl
from fer_lmdb import models
from fer_lmdb.errors import RunError


@dataclass(frozen=True)
class Initial:
    """What became of the net's layers.

    Attributes:
        source: the model that was named.
        loaded: layers that took their weights from it.
        fresh: layers that keep their filling, because the model has none of that name and shape.
    """

    source: str
    loaded: list[str]
    fresh: list[str]

    def to_dict(self) -> dict[str, object]:
        """Return plain values for run.json."""
        return asdict(self)

    def sentence(self) -> str:
        """Say it in one line."""
        fresh = ", ".join(self.fresh) or "none"
        return f"{len(self.loaded)} layers start from {self.source}; freshly filled: {fresh}"


def load_into(net: pl.Net, name_or_path: str) -> Initial:
    """Copy a model's weights into the layers of the same name.

    Args:
        net: the net to train.
        name_or_path: a Caffe .caffemodel, or whatever `models.load` takes.
    Raises:
        RunError: no layer fits.
        WeightsError: a layer of a caffemodel has the name but not the shape of one of the net (Caffe's rule).
        ModelError, FileError: there is no such model, or it is damaged.
    """
    if Path(name_or_path).suffix == ".caffemodel":
        report = pl.load_weights(net, name_or_path)
        loaded = [name for name in report.loaded if name in net.params]
    else:
        loaded = _copy(models.load(name_or_path).weights, net)
    if not loaded:
        raise RunError(f"--init {name_or_path}: none of its layers has the name and shape of a layer of this net")
    return Initial(str(name_or_path), loaded, [name for name in net.params if name not in loaded])


@torch.no_grad()
def _copy(weights: Mapping[str, torch.Tensor], net: pl.Net) -> list[str]:
    """Copy the blobs of layers that fit as a whole; a last layer with other classes does not, and stays fresh."""
    loaded = []
    for layer, blobs in net.params.items():
        pairs = [(blob, weights.get(f"{layer}/{i}")) for i, blob in enumerate(blobs)]
        fitting = [(blob, source) for blob, source in pairs if source is not None and source.shape == blob.shape]
        if len(fitting) == len(blobs):
            for blob, source in fitting:
                blob.copy_(source)
            loaded.append(layer)
    return loaded
