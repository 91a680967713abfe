"""BN layer: SegNet's with two blobs, or PSPNet's with four."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from prototxt_like.layers.base import Layer
from prototxt_like.layers.registry import register
from prototxt_like.limits import format_shape
from prototxt_like.schema.caffe_schema_pb2 import BNParameter

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter

_FIELDS = {
    2: ("bn_mode", "scale_filler", "shift_filler"),
    4: ("slope_filler", "bias_filler", "momentum", "eps", "frozen"),
}
_SEGNET_EPS = 1e-9


@register("BN")
class BN(Layer):
    """Batch normalization per channel with factor and offset.

    SegNet's normalizes with the statistics of the batch in both phases, or with ``bn_mode: INFERENCE`` only multiplies
    and adds. PSPNet's uses the batch in TRAIN and running statistics in TEST or if it is ``frozen``
    (running = momentum * running + (1 - momentum) * batch).

    Blobs (1, C, 1, 1): factor and offset; for PSPNet's also running mean and variance, which are not learnable.

    Source: alexgkendall/caffe-segnet and hszhao/PSPNet src/caffe/layers/bn_layer.cpp
    """

    origin = "SegNet, PSPNet"
    parameter_field = "bn_param"
    restrictions = (
        "The two meanings are distinguished by the fields, or else by the number of blobs in the weights; without "
        "either, building raises an error.",
        "SegNet's second and third top are not supported.",
        "`engine` has no effect.",
    )
    factor: nn.Parameter
    offset: nn.Parameter
    mean: Tensor
    variance: Tensor

    def setup(self, parameter: LayerParameter) -> None:
        """Create the blobs of the fork that the layer is from."""
        options = self.layer_param(parameter)
        shape = self.bottom_shapes[0]
        if len(shape) < 2:
            self.fail_shape(f"the bottom needs at least 2 axes (N, C, ...), found {format_shape(shape)}")
        self.has_statistics = self._blob_count(options) == 4
        fillers = (
            (options.slope_filler, options.bias_filler)
            if self.has_statistics
            else (options.scale_filler, options.shift_filler)
        )
        blob = (1, shape[1], 1, 1)
        if options.frozen:
            _freeze(parameter)
        self.add_blob("factor", blob, fillers[0])
        self.add_blob("offset", blob, fillers[1])
        self.scales_only = options.bn_mode == BNParameter.INFERENCE
        self.frozen: bool = options.frozen
        self.momentum: float = options.momentum
        self.eps: float = options.eps if self.has_statistics else _SEGNET_EPS
        if self.has_statistics:
            self.add_buffer("mean", blob)
            self.add_buffer("variance", blob)
            self.variance.fill_(1.0 if self.frozen else 0.0)
        self.top_shapes = [shape]

    def _blob_count(self, options: Any) -> int:
        written = {number: [name for name in names if options.HasField(name)] for number, names in _FIELDS.items()}
        if written[2] and written[4]:
            self.fail(f"{written[2][0]} is a field of SegNet's BN, {written[4][0]} of PSPNet's; remove one of them")
        if not written[2] and not written[4]:
            self.fail(
                "it is unclear whether it is SegNet's BN (2 blobs) or PSPNet's (4): found no field of one of them; "
                "write bn_mode: LEARN (SegNet) or eps: 1e-5 (PSPNet), or pass the weights when building the net"
            )
        return 2 if written[2] else 4

    def forward(self, x: Tensor) -> Tensor:
        """Normalize the channels (axis 1), multiply and add."""
        factor, offset = self.factor.flatten(), self.offset.flatten()
        if not self.has_statistics and self.scales_only:
            axes = (1,) * (x.dim() - 2)
            return x * factor.reshape(-1, *axes) + offset.reshape(-1, *axes)  # (C) -> (C, 1, 1)
        if self.has_statistics and (self.frozen or not self.training):
            return self._normalize(x, factor, offset, self.mean.flatten(), self.variance.flatten(), by_batch=False)
        mean, variance = torch.zeros_like(factor.detach()), torch.zeros_like(factor.detach())
        top = self._normalize(x, factor, offset, mean, variance, by_batch=True)
        if self.has_statistics:
            self._update(x, mean, variance)
        return top

    def _normalize(
        self, x: Tensor, factor: Tensor, offset: Tensor, mean: Tensor, variance: Tensor, *, by_batch: bool
    ) -> Tensor:
        # Momentum 1 stores the batch's mean and unbiased variance in `mean` and `variance`.
        return torch.batch_norm(
            x, factor, offset, mean, variance, by_batch, float(by_batch), self.eps, torch.backends.cudnn.enabled
        )

    @torch.no_grad()
    def _update(self, x: Tensor, mean: Tensor, unbiased: Tensor) -> None:
        number = x.numel() // x.shape[1]
        biased = unbiased * ((number - 1) / number)
        self.mean.mul_(self.momentum).add_((1 - self.momentum) * mean.reshape(self.mean.shape))
        self.variance.mul_(self.momentum).add_((1 - self.momentum) * biased.reshape(self.variance.shape))


def _freeze(parameter: LayerParameter) -> None:
    """Exclude factor and offset from training, as PSPNet's BN does when it is frozen."""
    while len(parameter.param) < 2:
        parameter.param.add()
    for spec in parameter.param[:2]:
        spec.lr_mult = 0
        spec.decay_mult = 0
