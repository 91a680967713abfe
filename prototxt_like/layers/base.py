"""What every layer has in common: its name, its blobs, the shapes of its tops and clear refusals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import torch
from torch import Tensor, nn

from prototxt_like.errors import NetError, ShapeMismatch
from prototxt_like.layers import fillers
from prototxt_like.limits import BuildContext, format_shape

if TYPE_CHECKING:
    from prototxt_like.schema import caffe_schema_pb2

    LayerParameter = caffe_schema_pb2.LayerParameter
    FillerParameter = caffe_schema_pb2.FillerParameter

Shape = tuple[int, ...]


class Layer(nn.Module):
    """One layer of a net, built from its ``LayerParameter``.

    A subclass reads its own parameter message in ``setup`` (everything that can be refused is refused
    there), names its blobs with ``add_blob`` and leaves the shapes of its tops in ``self.top_shapes``.
    Its ``forward`` takes one tensor per bottom and returns one tensor, or a tuple when there are several tops.

    The phase is only where a layer starts: it sets the module's ``training`` flag, which
    ``train()`` and ``eval()`` change later as in every torch module.

    Args:
        parameter: The ``LayerParameter`` message; it is not changed.
        bottom_shapes: One shape per bottom, batch axis included.
        phase: ``"TRAIN"`` or ``"TEST"``.
        context: What the layers of a net are built with; a layer alone has one of its own.

    Raises:
        NetError: a field of the parameter that cannot be followed.
        ShapeMismatch: bottoms that do not fit the layer or one another.
    """

    min_bottoms: ClassVar[int] = 1
    max_bottoms: ClassVar[int | None] = 1
    min_tops: ClassVar[int] = 1
    max_tops: ClassVar[int | None] = 1
    #: Caffe's EqualNumBottomTopBlobs: one top for every bottom.
    top_per_bottom: ClassVar[bool] = False
    #: Weight of the first top in the objective when ``loss_weight`` is not given.
    default_loss_weight: ClassVar[float] = 0.0
    #: Name of the field of LayerParameter that this type reads; empty where it reads none.
    parameter_field: ClassVar[str] = ""
    #: Other fields of LayerParameter that it reads.
    more_fields: ClassVar[tuple[str, ...]] = ()
    #: Where this layer does less, or something else, than Caffe's; for docs/prototxt.md.
    restrictions: ClassVar[tuple[str, ...]] = ()
    #: Who knows this type.
    origin: ClassVar[str] = "Caffe 1.0"
    #: False where Caffe refuses a top that is also a bottom.
    allows_in_place: ClassVar[bool] = True
    type_name: ClassVar[str] = ""

    def __init__(
        self,
        parameter: LayerParameter,
        bottom_shapes: Sequence[Shape],
        phase: str,
        context: BuildContext | None = None,
    ) -> None:
        super().__init__()
        self.name: str = parameter.name
        self.phase = phase
        self.context = BuildContext() if context is None else context
        self.training = phase == "TRAIN"
        self.bottom_shapes: list[Shape] = [tuple(shape) for shape in bottom_shapes]
        self.top_shapes: list[Shape] = []
        self.top_count = len(parameter.top)
        self.blob_names: list[str] = []
        self._check_counts()
        in_place = sorted(set(parameter.bottom) & set(parameter.top))
        if in_place and not self.allows_in_place:
            self.fail(f'it cannot work in place; give its top another name than "{in_place[0]}"')
        self.setup(parameter)

    def setup(self, parameter: LayerParameter) -> None:
        """Read the parameter, create the blobs and infer ``top_shapes``."""
        raise NotImplementedError

    def layer_param(self, parameter: LayerParameter) -> Any:
        """This type's own message inside the layer's parameter, with Caffe's defaults where it is absent."""
        return getattr(parameter, self.parameter_field)

    # Blobs -----------------------------------------------------------------------------------------------------

    @property
    def blobs(self) -> list[Tensor]:
        """The parameter blobs in Caffe's order."""
        return [getattr(self, name) for name in self.blob_names]

    def add_blob(self, name: str, shape: Shape, filler: FillerParameter) -> None:
        """Create a learnable blob and fill it.

        Args:
            name: Attribute under which the layer keeps it.
            shape: Shape of the blob.
            filler: Caffe's FillerParameter.
        """
        if any(size <= 0 for size in shape):
            self.fail_shape(f"its blob {len(self.blob_names)} would be empty: shape {format_shape(shape)}")
        self.context.reserve(shape, self.display_name)
        tensor = torch.empty(shape)
        if not self.context.shape_only:
            try:
                fillers.fill(tensor, filler)
            except NetError as error:
                raise NetError(f"{self.display_name}: {error}") from None
        self.register_parameter(name, nn.Parameter(tensor))
        self.blob_names.append(name)

    def add_buffer(self, name: str, shape: Shape) -> None:
        """Create a blob that is computed, not learned; it starts at zero."""
        self.context.reserve(shape, self.display_name)
        self.register_buffer(name, torch.zeros(shape))
        self.blob_names.append(name)

    # Refusals --------------------------------------------------------------------------------------------------

    def fail(self, message: str) -> NoReturn:
        """Raise NetError naming this layer."""
        raise NetError(f"{self.display_name}: {message}")

    def fail_shape(self, message: str) -> NoReturn:
        """Raise ShapeMismatch naming this layer."""
        raise ShapeMismatch(f"{self.display_name}: {message}")

    @property
    def display_name(self) -> str:
        """How messages call this layer."""
        return f'layer "{self.name}" ({self.type_name})'

    def canonical_axis(self, axis: int, axes: int, field: str = "axis") -> int:
        """Count a possibly negative axis from the front.

        Args:
            axis: As written in the net; negative counts from the end.
            axes: Number of axes of the blob.
            field: Name of the field, for the message.

        Returns:
            0 <= axis < axes.
        """
        if not -axes <= axis < axes:
            self.fail_shape(f"{field} is {axis}, but the bottom has {axes} axes; use {-axes} to {axes - 1}")
        return axis % axes

    def same_shapes(self, *, why: str = "all bottoms must have the same shape") -> None:
        """Refuse bottoms of different shapes."""
        first = self.bottom_shapes[0]
        for index, shape in enumerate(self.bottom_shapes[1:], start=1):
            if shape != first:
                self.fail_shape(f"{why}; bottom 0 is {format_shape(first)}, bottom {index} is {format_shape(shape)}")

    def _check_counts(self) -> None:
        bottoms, tops = len(self.bottom_shapes), self.top_count
        self._check_count("bottom", bottoms, self.min_bottoms, self.max_bottoms)
        self._check_count("top", tops, self.min_tops, self.max_tops)
        if self.top_per_bottom and bottoms != tops:
            self.fail(f"it has {bottoms} bottoms and {tops} tops; it needs one top for every bottom")

    def _check_count(self, what: str, count: int, least: int, most: int | None) -> None:
        if count >= least and (most is None or count <= most):
            return
        if most is None:
            expected = f"at least {least}"
        elif least == most:
            expected = f"exactly {least}" if least else "none"
        else:
            expected = f"{least} to {most}"
        self.fail(f"it has {count} {what}{'' if count == 1 else 's'}, expected {expected}")


def count(shape: Sequence[int], start: int = 0, stop: int | None = None) -> int:
    """Number of values in the axes ``start`` to ``stop`` of a shape, Caffe's ``Blob::count``."""
    return math.prod(shape[start:stop])


def upcast(x: Tensor) -> Tensor:
    """The tensor in float32 where it came in half precision; sums and logarithms need it."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
