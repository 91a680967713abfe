"""Base class of Convolution and Deconvolution."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from prototxt_like.layers._window import KernelGeometry
from prototxt_like.layers.base import Layer, Shape, count, format_shape

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


_CONVOLVE = (F.conv1d, F.conv2d, F.conv3d)
_TRANSPOSED = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)


class ConvolutionBase(Layer):
    """Filters over the axes after the channel axis. The axes before it form the batch."""

    max_bottoms = None
    max_tops = None
    top_per_bottom = True
    parameter_field = "convolution_param"
    reads_bottom_values = True
    restrictions = (
        "At most 3 spatial axes.",
        "`engine` and `force_nd_im2col` select Caffe's implementation and have no effect.",
    )
    transposed: ClassVar[bool] = False
    weight: nn.Parameter
    bias: Tensor | None

    def setup(self, parameter: LayerParameter) -> None:
        """Read the kernel geometry and check the bottoms."""
        options = self.layer_param(parameter)
        self.same_shapes()
        bottom = self.bottom_shapes[0]
        self.channel_axis = self.canonical_axis(options.axis, len(bottom))
        sizes = bottom[self.channel_axis + 1 :]
        if len(sizes) > 3:
            self.fail_shape(
                f"the bottom {format_shape(bottom)} has too many spatial axes: found {len(sizes)}, expected at most 3"
            )
        geometry = KernelGeometry.read(self, options, len(sizes))
        self.kernel, self.stride, self.pad, self.dilation = (
            geometry.kernel,
            geometry.stride,
            geometry.pad,
            geometry.dilation,
        )
        self.excess = (0,) * len(sizes) if self.transposed else geometry.excess(sizes)
        self._read_channels(bottom[self.channel_axis], options.num_output, options.group)
        spatial = self.spatial_size(geometry, sizes)
        if any(size <= 0 for size in spatial):
            self.fail_shape(f"the top would be empty: {format_shape(spatial)} from the bottom {format_shape(bottom)}")
        self.top_shapes = [(*bottom[: self.channel_axis], self.num_output, *spatial)] * len(self.bottom_shapes)

    def spatial_size(self, geometry: KernelGeometry, sizes: Shape) -> Shape:
        """Return the spatial sizes of the top."""
        raise NotImplementedError

    def _read_channels(self, channels: int, num_output: int, group: int) -> None:
        self.channels, self.num_output, self.group = channels, num_output, group
        if num_output <= 0:
            self.fail("num_output must be positive")
        if group <= 0 or channels % group or num_output % group:
            self.fail_shape(f"group {group} must divide both the {channels} channels and num_output {num_output}")

    def add_filters(self, weight_shape: Shape, parameter: LayerParameter) -> None:
        """Create and fill the filters and, if ``bias_term`` is set, the bias."""
        options = self.layer_param(parameter)
        self.add_blob("weight", weight_shape, options.weight_filler)
        if options.bias_term:
            self.add_blob("bias", (self.num_output,), options.bias_filler)
        else:
            self.register_parameter("bias", None)

    def forward(self, *bottoms: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Apply the same filters to every bottom."""
        tops = tuple(self._apply_filters(x) for x in bottoms)
        return tops[0] if len(tops) == 1 else tops

    def _apply_filters(self, x: Tensor) -> Tensor:
        if self.channel_axis == 1 and self.kernel:
            return self._convolve(x, self.weight)
        leading = x.shape[: self.channel_axis]
        spatial = x.shape[self.channel_axis + 1 :]
        # (..., C, *spatial) -> (N, C, *spatial); without spatial axes, one of size 1 is added
        batch = x.reshape(count(leading), self.channels, *(spatial or (1,)))
        top = self._convolve(batch, self.weight if self.kernel else self.weight.unsqueeze(-1))
        return top.reshape(*leading, self.num_output, *(top.shape[2:] if self.kernel else ()))

    def _convolve(self, x: Tensor, weight: Tensor) -> Tensor:
        axes = weight.dim() - 2
        none, one = (0,) * axes, (1,) * axes
        if any(self.excess):  # zeros behind the bottom, which the kernel reads in Caffe
            x = F.pad(x, [side for size in reversed(self.excess) for side in (0, size)])
        stride, pad, dilation = self.stride or one, self.pad or none, self.dilation or one
        if self.transposed:
            return _TRANSPOSED[axes - 1](x, weight, self.bias, stride, pad, none, self.group, dilation)
        return _CONVOLVE[axes - 1](x, weight, self.bias, stride, pad, dilation, self.group)
