"""Initialize a net from another model, by layer name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

import prototxt_like as pl
from fer_lmdb.errors import RunError
from fer_lmdb.evaluation import contamination
from fer_lmdb.labels import LabelScheme, explain_mismatch
from fer_lmdb.models.classifier import Classifier
from fer_lmdb.models.registry import load_model
from fer_lmdb.renames import modernize
from fer_lmdb.training import net2wider


@dataclass(frozen=True)
class InitReport:
    """Layers that were initialized from another model.

    Attributes:
        source: Name or path of the model.
        loaded: Layers with weights of the model.
        reinitialized: Layers with the weights of their fillers, since the model has no layer of that name and shape.
        trained_on: Splits that the model was trained on by source, see `contamination.training_splits`.
    """

    source: str
    loaded: list[str]
    reinitialized: list[str]
    trained_on: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> InitReport:
        """Read a report from a snapshot; names of earlier versions are accepted."""
        return cls(**modernize("model metadata, init", stored))

    def to_dict(self) -> dict[str, object]:
        """Return values that can be stored as JSON."""
        return asdict(self)

    def sentence(self) -> str:
        """Return a one-line summary."""
        rest = ", ".join(self.reinitialized) or "none"
        return f"{len(self.loaded)} layers loaded from {self.source}; not loaded: {rest}"


def init_from_model(
    net: pl.Net, name_or_path: str, scheme: LabelScheme, *, reset_classifier: bool = False, widen: bool = False
) -> InitReport:
    """Copy a model's weights into the layers of the same name.

    Args:
        net: Net to train.
        name_or_path: A .caffemodel, or any model that `load_model` accepts.
        scheme: Label scheme of the training data.
        reset_classifier: Do not load the layers whose outputs are the classes.
        widen: Load layers with fewer channels into the first channels of the net's layers.
    Returns:
        The loaded and the other layers.
    Raises:
        RunError: If no layer fits, the label scheme differs and the classifier is loaded, or the net cannot be widened.
        WeightsError: If a layer of a caffemodel has another shape than the net's layer of that name (Caffe's rule).
        ModelError: If the model is missing or damaged.
        FileError: If the caffemodel is missing or damaged.
    """
    last = {layer.name for layer in pl.zoo.classifiers(net.proto)} if reset_classifier else set()
    if widen:
        net2wider.validate_widening(net)
    known: dict[str, list[str]] = {}
    if Path(name_or_path).suffix == ".caffemodel":
        if widen:
            raise RunError(f"--init {name_or_path} --widen: a caffemodel cannot be widened; use a model file")
        loaded = _load_caffemodel(net, name_or_path, last)
    else:
        model = load_model(name_or_path)
        why = explain_mismatch(model.scheme, scheme)
        if why and not reset_classifier:
            raise RunError(
                f"--init {name_or_path}: label schemes differ ({why}); "
                "--reset-classifier loads all layers except the last"
            )
        if widen:
            net2wider.check_spatial_sizes(Classifier(model).net_unfused, net)
        loaded = _copy(model.weights, net, last, widen=widen)
        known = contamination.training_splits(model.metadata)
    if not loaded:
        raise RunError(f"--init {name_or_path}: none of its layers has the name and shape of a layer of the net")
    return InitReport(str(name_or_path), loaded, [name for name in net.params if name not in loaded], known)


def _load_caffemodel(net: pl.Net, path: str, excluded: set[str]) -> list[str]:
    """Load all layers, then restore the excluded ones."""
    before_loading = {name: [blob.clone() for blob in net.params[name]] for name in excluded}
    report = pl.load_weights(net, path)
    with torch.no_grad():
        for name, blobs in before_loading.items():
            for blob, before in zip(net.params[name], blobs, strict=True):
                blob.copy_(before)
    return [name for name in report.loaded if name in net.params and name not in excluded]


@torch.no_grad()
def _copy(weights: Mapping[str, torch.Tensor], net: pl.Net, excluded: set[str], *, widen: bool) -> list[str]:
    """Copy the blobs of layers whose blobs all fit."""
    types = {layer.name: layer.type for layer in net.proto.layer}
    loaded = []
    for layer, blobs in net.params.items():
        sources = [weights[f"{layer}/{i}"] for i in range(len(blobs)) if f"{layer}/{i}" in weights]
        if layer in excluded or len(sources) != len(blobs):
            continue
        if all(source.shape == blob.shape for source, blob in zip(sources, blobs, strict=True)):
            for blob, source in zip(blobs, sources, strict=True):
                blob.copy_(source)
        elif widen and net2wider.is_widened(sources, blobs):
            net2wider.widen(types[layer], sources, blobs)
        else:
            continue
        loaded.append(layer)
    return loaded
