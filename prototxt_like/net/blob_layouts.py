"""Layers whose meaning depends on the number of blobs in the weights: BatchNorm and BN of several forks."""

from __future__ import annotations

from prototxt_like.schema.caffe_schema_pb2 import BNParameter, NetParameter

_BN_FIELDS = ("bn_mode", "scale_filler", "shift_filler", "slope_filler", "bias_filler", "momentum", "eps", "frozen")


def follow_blob_counts(net: NetParameter, trained: NetParameter) -> None:
    """Write the meaning of BatchNorm and BN layers into a net, as far as only the weights show it, in place.

    Five blobs of BatchNorm are those of NVCaffe and Intel Caffe, with factor and offset inside. Two blobs of BN are
    SegNet's, four are PSPNet's.

    Args:
        net: Net in the current layout.
        trained: Trained weights in the current layout.
    """
    counts = {layer.name: len(layer.blobs) for layer in trained.layer if layer.blobs}
    for layer in net.layer:
        count = counts.get(layer.name)
        if layer.type == "BatchNorm" and count == 5:
            layer.batch_norm_param.scale_bias = True
        if layer.type == "BN" and not any(layer.bn_param.HasField(name) for name in _BN_FIELDS):
            if count == 2:
                layer.bn_param.bn_mode = BNParameter.LEARN
            if count == 4:
                layer.bn_param.eps = layer.bn_param.eps  # the default, written
