"""Parameters of a net: their multipliers, and parameters that several layers share by name."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from torch import Tensor, nn

from prototxt_like.errors import NetError, ShapeMismatch
from prototxt_like.layers import Layer
from prototxt_like.schema.caffe_schema_pb2 import LayerParameter, ParamSpec


@dataclass(frozen=True)
class ParameterSpec:
    """One learnable parameter: where it is, and how a solver treats it.

    Args:
        key: module key of the layer that owns it.
        blob: the layer's attribute.
        lr_mult: factor on the learning rate; 0 freezes.
        decay_mult: factor on the weight decay.
        explicit: the multipliers that the net itself gives ("lr_mult", "decay_mult").
    """

    key: str
    blob: str
    lr_mult: float
    decay_mult: float
    explicit: frozenset[str]


@dataclass(frozen=True)
class _Owner:
    layer: Layer
    blob: str
    spec_index: int | None  # in `learnable_params`; None for a blob that no solver touches


class ParamSharing:
    """Collects the parameters of one layer after the other.

    Args:
        force_backward: gradients are computed for frozen parameters too.
        shape_only: the layers are only asked for their shapes.

    Source: BVLC/caffe src/caffe/net.cpp, Net::AppendParam
    """

    def __init__(self, *, force_backward: bool, shape_only: bool) -> None:
        self.learnable_params: list[ParameterSpec] = []
        self._force_backward, self._shape_only = force_backward, shape_only
        self._owners: dict[str, _Owner] = {}

    def add(self, key: str, layer: Layer, parameter: LayerParameter) -> None:
        """Take in a layer's blobs; those with a name seen before become the earlier ones.

        Raises:
            NetError: more `param` entries than blobs, or contradicting multipliers.
            ShapeMismatch: a shared parameter of another shape.
        """
        if len(parameter.param) > len(layer.blob_names):
            raise NetError(
                f'layer "{layer.name}" ({parameter.type}) has {len(parameter.param)} param entries, '
                f"but only {len(layer.blob_names)} blobs"
            )
        for index, blob in enumerate(layer.blob_names):
            written = parameter.param[index] if index < len(parameter.param) else ParamSpec()
            if written.name in self._owners and written.name:
                self._share(layer, blob, written)
            else:
                self._own(key, layer, blob, written)

    def _own(self, key: str, layer: Layer, blob: str, written: ParamSpec) -> None:
        tensor = getattr(layer, blob)
        spec_index = None
        if isinstance(tensor, nn.Parameter):
            spec_index = len(self.learnable_params)
            explicit = frozenset(name for name in ("lr_mult", "decay_mult") if written.HasField(name))
            self.learnable_params.append(ParameterSpec(key, blob, written.lr_mult, written.decay_mult, explicit))
            self._freeze_or_not(tensor, written.lr_mult)
        if written.name:
            self._owners[written.name] = _Owner(layer, blob, spec_index)

    def _share(self, layer: Layer, blob: str, written: ParamSpec) -> None:
        owner = self._owners[written.name]
        theirs, ours = getattr(owner.layer, owner.blob), getattr(layer, blob)
        _check_shapes(written, layer, tuple(ours.shape), owner.layer, tuple(theirs.shape))
        if owner.spec_index is not None:
            self._merge_multipliers(written, owner.spec_index)
            self._freeze_or_not(theirs, self.learnable_params[owner.spec_index].lr_mult)
        if isinstance(theirs, nn.Parameter) and theirs.shape == ours.shape:
            setattr(layer, blob, theirs)
        else:
            _alias(layer, blob, owner, tuple(ours.shape))

    def _freeze_or_not(self, parameter: Tensor, lr_mult: float) -> None:
        if not self._shape_only:  # torch.func allows no such change, and nobody trains such a blob
            parameter.requires_grad_(lr_mult != 0 or self._force_backward)

    def _merge_multipliers(self, written: ParamSpec, index: int) -> None:
        """A multiplier may be given in one place or in several, but only with one value."""
        spec = self.learnable_params[index]
        for name in ("lr_mult", "decay_mult"):
            if not written.HasField(name):
                continue
            value = getattr(written, name)
            if name in spec.explicit and value != getattr(spec, name):
                raise NetError(f'shared param "{written.name}" has {name} {getattr(spec, name):g} and {value:g}')
            changes: dict[str, float] = {name: value}
            spec = replace(spec, explicit=spec.explicit | {name}, **changes)  # type: ignore[arg-type]
        self.learnable_params[index] = spec


def _check_shapes(
    written: ParamSpec, layer: Layer, ours: tuple[int, ...], owner: Layer, theirs: tuple[int, ...]
) -> None:
    permissive = written.HasField("share_mode") and written.share_mode == ParamSpec.PERMISSIVE
    fits = math.prod(ours) == math.prod(theirs) if permissive else ours == theirs
    if not fits:
        raise ShapeMismatch(
            f'layer "{layer.name}" cannot share param "{written.name}" with layer "{owner.name}": '
            f"its blob is {ours}, the owner's {theirs}; {'the counts' if permissive else 'the shapes'} must be equal"
        )


def own_blobs(layer: Layer) -> list[Tensor]:
    """A layer's blobs in Caffe's order, but for those that are views of another layer's."""
    aliases = layer.__dict__.get("_aliases", {})
    return [getattr(layer, name) for name in layer.blob_names if name not in aliases]


def _alias(layer: Layer, blob: str, owner: _Owner, shape: tuple[int, ...]) -> None:
    """Make an attribute a view of another layer's blob, looked up anew each time.

    A second reference to a buffer would come apart when the net moves to another device, and a view of another
    shape is no parameter of its own.
    """
    # In the instance, not in the property, so that a copy of the net looks into the copy.
    layer.__dict__.setdefault("_aliases", {})[blob] = (owner.layer, owner.blob, shape)

    def aliased(self: Layer) -> Tensor:
        owning_layer, owning_blob, seen_shape = self.__dict__["_aliases"][blob]
        return getattr(owning_layer, owning_blob).view(seen_shape)

    delattr(layer, blob)
    layer.__class__ = type(type(layer).__name__, (type(layer),), {blob: property(aliased)})
