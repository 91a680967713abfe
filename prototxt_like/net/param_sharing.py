"""Parameter multipliers and sharing of parameters by name."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from torch import Tensor, nn

from prototxt_like.errors import NetError, ShapeMismatch
from prototxt_like.layers import Layer
from prototxt_like.schema.caffe_schema_pb2 import LayerParameter, ParamSpec


@dataclass(frozen=True)
class ParameterSpec:
    """Location and multipliers of one learnable parameter.

    Args:
        key: Module key of the layer that owns the parameter.
        blob: Attribute name in the layer.
        lr_mult: Factor on the learning rate; 0 freezes the parameter.
        decay_mult: Factor on the weight decay.
        explicit: Names of the multipliers that the net sets ("lr_mult", "decay_mult").
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
    spec_index: int | None  # in `learnable_params`; None for a blob that is not learnable


class ParamSharing:
    """Collector of a net's parameters, one layer at a time.

    Args:
        force_backward: Whether gradients are computed for frozen parameters.
        shape_only: Whether the layers are built for shape inference only.

    Source: BVLC/caffe src/caffe/net.cpp, Net::AppendParam
    """

    def __init__(self, *, force_backward: bool, shape_only: bool) -> None:
        self.learnable_params: list[ParameterSpec] = []
        self._force_backward, self._shape_only = force_backward, shape_only
        self._owners: dict[str, _Owner] = {}

    def add(self, key: str, layer: Layer, parameter: LayerParameter) -> None:
        """Add a layer's blobs. Blobs with a known parameter name are replaced by the owner's blob.

        Args:
            key: Module key of the layer.
            layer: Layer to add.
            parameter: LayerParameter of the layer.

        Raises:
            NetError: If there are more `param` entries than blobs, or contradictory multipliers.
            ShapeMismatch: If a shared parameter has another shape.
        """
        if len(parameter.param) > len(layer.blob_names):
            raise NetError(
                f'layer "{layer.name}" ({parameter.type}) has {len(parameter.param)} param entries, '
                f"but only {len(layer.blob_names)} blobs; remove the excess entries"
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
            self._set_requires_grad(tensor, written.lr_mult)
        if written.name:
            self._owners[written.name] = _Owner(layer, blob, spec_index)

    def _share(self, layer: Layer, blob: str, written: ParamSpec) -> None:
        owner = self._owners[written.name]
        shared, replaced = getattr(owner.layer, owner.blob), getattr(layer, blob)
        _check_shapes(written, layer, tuple(replaced.shape), owner.layer, tuple(shared.shape))
        if owner.spec_index is not None:
            self._merge_multipliers(written, owner.spec_index)
            self._set_requires_grad(shared, self.learnable_params[owner.spec_index].lr_mult)
        if isinstance(shared, nn.Parameter) and shared.shape == replaced.shape:
            setattr(layer, blob, shared)
        else:
            _alias(layer, blob, owner, tuple(replaced.shape))

    def _set_requires_grad(self, parameter: Tensor, lr_mult: float) -> None:
        if not self._shape_only:  # not allowed under torch.func, and not needed for shapes
            parameter.requires_grad_(lr_mult != 0 or self._force_backward)

    def _merge_multipliers(self, written: ParamSpec, index: int) -> None:
        """Merge the multipliers of a shared parameter. All values that are set must be equal."""
        spec = self.learnable_params[index]
        for name in ("lr_mult", "decay_mult"):
            if not written.HasField(name):
                continue
            value = getattr(written, name)
            if name in spec.explicit and value != getattr(spec, name):
                raise NetError(
                    f'shared param "{written.name}" has {name} {getattr(spec, name):g} and {value:g}; '
                    "use the same value in all layers"
                )
            changes: dict[str, float] = {name: value}
            spec = replace(spec, explicit=spec.explicit | {name}, **changes)  # type: ignore[arg-type]
        self.learnable_params[index] = spec


def _check_shapes(
    written: ParamSpec, layer: Layer, shape: tuple[int, ...], owner: Layer, owner_shape: tuple[int, ...]
) -> None:
    permissive = written.HasField("share_mode") and written.share_mode == ParamSpec.PERMISSIVE
    matches = math.prod(shape) == math.prod(owner_shape) if permissive else shape == owner_shape
    if not matches:
        raise ShapeMismatch(
            f'layer "{layer.name}" cannot share param "{written.name}" with layer "{owner.name}": '
            f"found shape {shape}, expected {'the same count as ' if permissive else ''}{owner_shape}"
        )


def own_blobs(layer: Layer) -> list[Tensor]:
    """Return a layer's blobs in Caffe's order, without those that alias another layer's."""
    aliases = layer.__dict__.get("_aliases", {})
    return [getattr(layer, name) for name in layer.blob_names if name not in aliases]


def _alias(layer: Layer, blob: str, owner: _Owner, shape: tuple[int, ...]) -> None:
    """Replace an attribute by a property that returns a view of another layer's blob.

    A second reference to a buffer would diverge when the net moves to another device, and a view with another shape
    cannot be a parameter.
    """
    # Stored in the instance, not in the property, so that a copy of the net refers to the copied layers.
    layer.__dict__.setdefault("_aliases", {})[blob] = (owner.layer, owner.blob, shape)

    def aliased(self: Layer) -> Tensor:
        owning_layer, owning_blob, view_shape = self.__dict__["_aliases"][blob]
        return getattr(owning_layer, owning_blob).view(view_shape)

    delattr(layer, blob)
    layer.__class__ = type(type(layer).__name__, (type(layer),), {blob: property(aliased)})
