"""PReLU layer: ReLU with learnable slopes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn import functional as F

from prototxt_like.layers._elementwise import Neuron
from prototxt_like.layers.registry import register
from prototxt_like.limits import format_shape
from prototxt_like.schema.caffe_schema_pb2 import FillerParameter

if TYPE_CHECKING:
    from prototxt_like.schema.caffe_schema_pb2 import LayerParameter


@register("PReLU")
class PReLU(Neuron):
    """x if x > 0, else slope * x, with one learnable slope per channel or one for all channels.

    Blobs: slopes (C), or a scalar with ``channel_shared``; 0.25 without a filler.

    Source: BVLC/caffe src/caffe/layers/prelu_layer.cpp
    """

    parameter_field = "prelu_param"
    slope: nn.Parameter

    def setup(self, parameter: LayerParameter) -> None:
        """Create the slopes."""
        super().setup(parameter)
        options = self.layer_param(parameter)
        shape = self.bottom_shapes[0]
        if len(shape) < 2:
            self.fail_shape(f"the bottom needs at least 2 axes (N, C, ...), found {format_shape(shape)}")
        filler = options.filler if options.HasField("filler") else FillerParameter(type="constant", value=0.25)
        self.add_blob("slope", () if options.channel_shared else (shape[1],), filler)

    def forward(self, x: Tensor) -> Tensor:
        """Return the PReLU."""
        return F.prelu(x, self.slope.reshape(-1).to(x.dtype))
