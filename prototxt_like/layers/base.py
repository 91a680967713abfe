"""Base class of all layers."""

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
    """Layer of a net, built from its ``LayerParameter``.

    A subclass implements ``setup``, which reads and checks its parameter message, creates blobs with ``add_blob`` and
    sets ``self.top_shapes``. Its ``forward`` takes one tensor per bottom and returns one tensor, or a tuple if there
    are several tops.

    The phase sets the initial ``training`` flag, which ``train()`` and ``eval()`` change as in any torch module.

    Args:
        parameter: ``LayerParameter`` message. ``setup`` may complete it with values that the type implies.
        bottom_shapes: One shape per bottom, including the batch axis.
        phase: ``"TRAIN"`` or ``"TEST"``.
        context: Build settings and size budget of the net; None = a new one.

    Raises:
        NetError: If a field of the parameter is invalid or not supported.
        ShapeMismatch: If the bottoms have wrong shapes.
    """

    min_bottoms: ClassVar[int] = 1
    max_bottoms: ClassVar[int | None] = 1
    min_tops: ClassVar[int] = 1
    max_tops: ClassVar[int | None] = 1
    #: Whether the layer needs one top per bottom (Caffe's EqualNumBottomTopBlobs).
    top_per_bottom: ClassVar[bool] = False
    #: Weight of the first top in the objective if ``loss_weight`` is not set.
    default_loss_weight: ClassVar[float] = 0.0
    #: Name of the LayerParameter field with the options of this type; empty if there is none.
    parameter_field: ClassVar[str] = ""
    #: Other LayerParameter fields that this type reads.
    more_fields: ClassVar[tuple[str, ...]] = ()
    #: Restrictions and deviations from Caffe, for docs/prototxt.md.
    restrictions: ClassVar[tuple[str, ...]] = ()
    #: Origin of this type.
    origin: ClassVar[str] = "Caffe 1.0"
    #: Whether Caffe allows a top that is also a bottom.
    allows_in_place: ClassVar[bool] = True
    #: Whether top and bottom share memory in Caffe, so that an in-place layer behind one of them changes both.
    shares_memory: bool = False
    #: Values that ``caffe_gradient`` reads: "bottom", "top" or both. Empty if overwriting them has no effect.
    backward_reads: ClassVar[tuple[str, ...]] = ()
    #: Whether Caffe's backward pass reads values of the bottoms at all.
    reads_bottom_values: ClassVar[bool] = False
    #: Whether only the sign of those values matters, and whether the layer keeps the sign where gradients flow.
    reads_sign_only: bool = False
    keeps_sign: bool = False
    #: Whether ``caffe_gradient`` of the layer's own top equals that of its bottom, so that working in place is exact.
    in_place_gradient_is_exact: bool = True
    #: What Caffe does if this layer works in place; empty if that is unremarkable.
    in_place_note: str = ""
    #: Whether the batch size of the tops depends on the data.
    data_dependent: ClassVar[bool] = False
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
        self._follows_net = True
        self.bottom_shapes: list[Shape] = [tuple(shape) for shape in bottom_shapes]
        self.top_shapes: list[Shape] = []
        self.top_count = len(parameter.top)
        #: What the layer ignores or assumes, for ``Net.notes``.
        self.notes: list[str] = []
        self.blob_names: list[str] = []
        self._check_counts()
        in_place = sorted(set(parameter.bottom) & set(parameter.top))
        self.in_place = bool(in_place)
        if in_place and not self.allows_in_place:
            self.fail(f'it cannot work in place; rename its top "{in_place[0]}"')
        self.setup(parameter)

    def setup(self, parameter: LayerParameter) -> None:
        """Read the parameter, create the blobs and infer ``top_shapes``."""
        raise NotImplementedError

    def layer_param(self, parameter: LayerParameter) -> Any:
        """Return this type's own message in the layer's parameter, with Caffe's defaults if it is absent."""
        return getattr(parameter, self.parameter_field)

    def caffe_gradient(self, original: Tensor, bottom: Tensor, top: Tensor, gradient: Tensor) -> Tensor:
        """Return the gradient of the bottom as Caffe computes it from the values that are in memory then.

        Args:
            original: Bottom of the forward pass.
            bottom: Values in the memory of the bottom when the backward pass reads them.
            top: Values in the memory of the top when the backward pass reads them.
            gradient: Gradient of the top.
        """
        raise NotImplementedError

    def keep_in_test(self) -> None:
        """Keep the layer in TEST when the net switches to training, because the net file sets its phase."""
        self._follows_net = False

    def train(self, mode: bool = True) -> Any:
        """Switch to training or evaluation; a layer with ``phase: TEST`` in a TRAIN net stays in TEST."""
        return super().train(mode and self._follows_net)

    # Blobs -----------------------------------------------------------------------------------------------------

    @property
    def blobs(self) -> list[Tensor]:
        """Parameter blobs in Caffe's order."""
        return [getattr(self, name) for name in self.blob_names]

    def add_blob(self, name: str, shape: Shape, filler: FillerParameter) -> None:
        """Create a learnable blob and fill it.

        Args:
            name: Attribute name of the blob.
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
        """Create a zero-filled blob that is computed, not learned."""
        self.context.reserve(shape, self.display_name)
        self.register_buffer(name, torch.zeros(shape))
        self.blob_names.append(name)

    # Errors ----------------------------------------------------------------------------------------------------

    def fail(self, message: str) -> NoReturn:
        """Raise a NetError for this layer."""
        raise NetError(f"{self.display_name}: {message}")

    def fail_shape(self, message: str) -> NoReturn:
        """Raise a ShapeMismatch for this layer."""
        raise ShapeMismatch(f"{self.display_name}: {message}")

    @property
    def display_name(self) -> str:
        """Name and type for messages."""
        return f'layer "{self.name}" ({self.type_name})'

    def canonical_axis(self, axis: int, axes: int, field: str = "axis") -> int:
        """Convert a possibly negative axis to a non-negative one.

        Args:
            axis: Axis; negative counts from the end.
            axes: Number of axes of the blob.
            field: Name of the field for error messages.

        Returns:
            0 <= axis < axes.
        """
        if not -axes <= axis < axes:
            self.fail_shape(f"{field} is {axis}, but the bottom has {axes} axes; use {-axes} to {axes - 1}")
        return axis % axes

    def same_shapes(self, *, why: str = "all bottoms must have the same shape") -> None:
        """Check that all bottoms have the same shape."""
        first = self.bottom_shapes[0]
        for index, shape in enumerate(self.bottom_shapes[1:], start=1):
            if shape != first:
                self.fail_shape(f"{why}; bottom 0 is {format_shape(first)}, bottom {index} is {format_shape(shape)}")

    def _check_counts(self) -> None:
        bottoms, tops = len(self.bottom_shapes), self.top_count
        self._check_count("bottom", bottoms, self.min_bottoms, self.max_bottoms)
        self._check_count("top", tops, self.min_tops, self.max_tops)
        if self.top_per_bottom and bottoms != tops:
            self.fail(f"wrong number of tops: found {tops}, expected {bottoms}, one per bottom")

    def _check_count(self, what: str, count: int, least: int, most: int | None) -> None:
        if count >= least and (most is None or count <= most):
            return
        if most is None:
            expected = f"at least {least}"
        elif least == most:
            expected = f"exactly {least}" if least else "none"
        else:
            expected = f"{least} to {most}"
        self.fail(f"wrong number of {what}s: found {count}, expected {expected}")


def count(shape: Sequence[int], start: int = 0, stop: int | None = None) -> int:
    """Return the number of values in the axes ``start`` to ``stop`` of a shape, like Caffe's ``Blob::count``."""
    return math.prod(shape[start:stop])


def upcast(x: Tensor) -> Tensor:
    """Convert half precision to float32, which sums and logarithms need."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
