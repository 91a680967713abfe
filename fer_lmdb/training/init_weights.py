"""Where fine-tuning starts: another model's weights, copied by layer name."""

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
    """What became of the net's layers.

    Attributes:
        source: the model that was named.
        loaded: layers that took their weights from it.
        reinitialized: layers that keep their filling, because the model has none of that name and shape.
        trained_on: what the model learnt from, see `lineage.training_splits`.
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
        """Return plain values for run.json."""
        return asdict(self)

    def sentence(self) -> str:
        """Say it in one line."""
        fresh = ", ".join(self.reinitialized) or "none"
        return f"{len(self.loaded)} layers start from {self.source}; freshly filled: {fresh}"


def init_from_model(
    net: pl.Net, name_or_path: str, scheme: LabelScheme, *, reset_classifier: bool = False, widen: bool = False
) -> InitReport:
    """Copy a model's weights into the layers of the same name.

    Args:
        net: the net to train.
        name_or_path: a Caffe .caffemodel, or whatever `load_model` takes.
        scheme: the labels that the net shall learn.
        reset_classifier: leave the layers whose outputs are the classes as they are filled.
        widen: let layers with more channels begin with the model's in their first ones.
    Raises:
        RunError: no layer fits, the model's labels are others and its classifier is not to be left out, or the net
            cannot be widened.
        WeightsError: a layer of a caffemodel has the name but not the shape of one of the net (Caffe's rule).
        ModelError, FileError: there is no such model, or it is damaged.
    """
    last = {layer.name for layer in pl.zoo.classifiers(net.proto)} if reset_classifier else set()
    if widen:
        net2wider.validate_widening(net)
    known: dict[str, list[str]] = {}
    if Path(name_or_path).suffix == ".caffemodel":
        if widen:
            raise RunError(f"--init {name_or_path} --widen: a caffemodel's layers have to have the net's own shapes")
        loaded = _load_caffemodel(net, name_or_path, last)
    else:
        model = load_model(name_or_path)
        why = explain_mismatch(model.scheme, scheme)
        if why and not reset_classifier:
            raise RunError(
                f"--init {name_or_path}: its labels are not those of the data set ({why}); "
                "--reset-classifier takes its other layers and begins the last one afresh"
            )
        if widen:
            net2wider.check_spatial_sizes(Classifier(model).net_unfused, net)
        loaded = _copy(model.weights, net, last, widen=widen)
        known = contamination.training_splits(model.metadata)
    if not loaded:
        raise RunError(f"--init {name_or_path}: none of its layers has the name and shape of a layer of this net")
    return InitReport(str(name_or_path), loaded, [name for name in net.params if name not in loaded], known)


def _load_caffemodel(net: pl.Net, path: str, left_out: set[str]) -> list[str]:
    """Load all layers, and put back what is to be left out; a caffemodel does not say what its classes are."""
    kept = {name: [blob.clone() for blob in net.params[name]] for name in left_out}
    report = pl.load_weights(net, path)
    with torch.no_grad():
        for name, blobs in kept.items():
            for blob, before in zip(net.params[name], blobs, strict=True):
                blob.copy_(before)
    return [name for name in report.loaded if name in net.params and name not in left_out]


@torch.no_grad()
def _copy(weights: Mapping[str, torch.Tensor], net: pl.Net, left_out: set[str], *, widen: bool) -> list[str]:
    """Copy the blobs of layers that fit as a whole."""
    types = {layer.name: layer.type for layer in net.proto.layer}
    loaded = []
    for layer, blobs in net.params.items():
        sources = [weights[f"{layer}/{i}"] for i in range(len(blobs)) if f"{layer}/{i}" in weights]
        if layer in left_out or len(sources) != len(blobs):
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
