"""BatchNorm layer: batch normalization without affine parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from prototxt_like.layers.base import Layer
from prototxt_like.layers.registry import register
from prototxt_like.limits import format_shape
from prototxt_like.schema.caffe_schema_pb2 import FillerParameter

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


_FACTOR_FIELDS = ("scale_bias", "use_weight_bias", "scale_filler", "bias_filler", "shift_filler")


@register("BatchNorm")
class BatchNorm(Layer):
    """Normalize every channel to mean 0 and variance 1; a Scale layer contains the affine parameters.

    TRAIN uses the statistics of the batch and adds them to the running sums
    (``blob = moving_average_fraction * blob + statistic``); TEST uses the sums, divided by the third blob.
    ``use_global_stats`` overrides the phase, so ``false`` updates the sums in TEST as well.

    Blobs: sum of means (C), sum of unbiased variances (C), divisor of both sums (1); not learnable. With ``scale_bias``
    or ``use_weight_bias`` (NVCaffe, Intel Caffe), or if the weights have five blobs, also factor (C) and offset (C).

    Source: BVLC/caffe src/caffe/layers/batch_norm_layer.cpp
    """

    parameter_field = "batch_norm_param"
    restrictions = (
        "The bottom needs at least 2 axes.",
        "A third blob of 0 means mean 0 and variance 0, as in Caffe.",
        "With five blobs, the sums are accumulated as in Caffe 1.0; NVCaffe stores averages, with a third blob of 1.",
    )
    mean_sum: Tensor
    variance_sum: Tensor
    scale_sum: Tensor
    factor: nn.Parameter
    offset: nn.Parameter

    def setup(self, parameter: LayerParameter) -> None:
        """Create the running sums at zero."""
        options = self.layer_param(parameter)
        shape = self.bottom_shapes[0]
        if len(shape) < 2:
            self.fail_shape(f"the bottom needs at least 2 axes (N, C, ...), found {format_shape(shape)}")
        if any(spec.lr_mult != 0 for spec in parameter.param[:3]):
            self.fail("its blobs are statistics and cannot be learned; set lr_mult: 0 in every param")
        self.fraction: float = options.moving_average_fraction
        self.eps: float = options.eps
        self.use_global_stats: bool | None = options.use_global_stats if options.HasField("use_global_stats") else None
        self.add_buffer("mean_sum", (shape[1],))
        self.add_buffer("variance_sum", (shape[1],))
        self.add_buffer("scale_sum", (1,))
        self.has_factor = any(_is_written(options, name) for name in _FACTOR_FIELDS)
        if self.has_factor:
            self._add_factor(options, shape[1])
        self.top_shapes = [shape]

    def forward(self, x: Tensor) -> Tensor:
        """Normalize the channels (axis 1)."""
        if self.has_factor:
            return self.normalize(x, self.factor, self.offset)
        return self.normalize(x, None, None)

    def _add_factor(self, options: Any, channels: int) -> None:
        one, zero = FillerParameter(type="constant", value=1), FillerParameter(type="constant", value=0)
        offset = "bias_filler" if options.HasField("bias_filler") else "shift_filler"
        self.add_blob("factor", (channels,), options.scale_filler if options.HasField("scale_filler") else one)
        self.add_blob("offset", (channels,), getattr(options, offset) if options.HasField(offset) else zero)

    def normalize(self, x: Tensor, factor: Tensor | None, bias: Tensor | None) -> Tensor:
        """Normalize, multiply and shift the channels in one pass.

        Args:
            x: (N, C, ...).
            factor: (C,) factor; None = 1.
            bias: (C,) offset; None = 0.

        Returns:
            Tensor with the shape and dtype of x.
        """
        use_global_stats = not self.training if self.use_global_stats is None else self.use_global_stats
        if use_global_stats:
            return self._one_pass(x, factor, bias, *self._mean_and_variance(), by_batch=False)
        return self._by_batch(x, factor, bias)

    def _one_pass(
        self, x: Tensor, factor: Tensor | None, bias: Tensor | None, mean: Tensor, variance: Tensor, *, by_batch: bool
    ) -> Tensor:
        # Momentum 1 stores the batch's mean and unbiased variance in the buffers.
        momentum = 1.0 if by_batch else 0.0
        return torch.batch_norm(
            x, factor, bias, mean, variance, by_batch, momentum, self.eps, torch.backends.cudnn.enabled
        )

    def _mean_and_variance(self) -> tuple[Tensor, Tensor]:
        """Return the divided sums. Not cached, because the sums can be modified at any time."""
        factor = torch.where(self.scale_sum == 0, 0.0, 1 / self.scale_sum)
        return self.mean_sum * factor, self.variance_sum * factor

    def _by_batch(self, x: Tensor, factor: Tensor | None, bias: Tensor | None) -> Tensor:
        mean, variance = torch.zeros_like(self.mean_sum), torch.zeros_like(self.variance_sum)
        if x.numel() == x.shape[1]:  # one value per channel: the unbiased variance is undefined
            self._add_to_sums(x.detach().flatten(), variance)
            zeros = x * 0
            return zeros if factor is None else self._one_pass(zeros, factor, bias, mean, variance + 1, by_batch=False)
        top = self._one_pass(x, factor, bias, mean, variance, by_batch=True)
        self._add_to_sums(mean, variance)
        return top

    @torch.no_grad()
    def _add_to_sums(self, mean: Tensor, variance: Tensor) -> None:
        self.mean_sum.mul_(self.fraction).add_(mean)
        self.variance_sum.mul_(self.fraction).add_(variance)
        self.scale_sum.mul_(self.fraction).add_(1)


def _is_written(options: Any, name: str) -> bool:
    return options.HasField(name) and getattr(options, name) is not False
