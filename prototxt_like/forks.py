"""Layer types of Caffe forks that are not built, with the fork they come from and what to do instead."""

from __future__ import annotations

from dataclasses import dataclass

_DECODE = "remove the layer and decode its bottoms in Python"
_DEPLOY = "use the deploy net, which does not have it"
_LOSS = "use the deploy net for predictions, or register a layer class to train"
_REGISTER = "register a layer class (see prototxt_like.layers.registry)"


@dataclass(frozen=True)
class ForkLayer:
    """Layer type of a fork.

    Args:
        type_name: Layer type.
        field: Its field in LayerParameter; empty if there is none.
        fork: Name of the fork.
        way_out: Imperative clause for error messages.
    """

    type_name: str
    field: str
    fork: str
    way_out: str


FORK_LAYERS = (
    ForkLayer("DetectionEvaluate", "detection_evaluate_param", "SSD", "remove the layer, which only evaluates"),
    ForkLayer("MultiBoxLoss", "multibox_loss_param", "SSD", _LOSS),
    ForkLayer("VideoData", "video_data_param", "SSD", _DEPLOY),
    ForkLayer("Yolov3DetectionOutput", "yolov3_detection_output_param", "MobileNet-YOLO", _DECODE),
    ForkLayer("YoloDetectionOutput", "yolo_detection_output_param", "MobileNet-YOLO", _DECODE),
    ForkLayer("Yolov3", "yolov3_param", "MobileNet-YOLO", _LOSS),
    ForkLayer("RegionLoss", "region_loss_param", "YOLO", _LOSS),
    ForkLayer("Reorg", "reorg_param", "YOLO", "write it as Reshape, Permute and Reshape"),
    ForkLayer("Mish", "mish_param", "YOLO", _REGISTER),
    ForkLayer("PSROIPooling", "psroi_pooling_param", "R-FCN", _REGISTER),
    ForkLayer("PSROIAlign", "psroi_align_param", "R-FCN", _REGISTER),
    ForkLayer("BoxAnnotatorOHEM", "box_annotator_ohem_param", "R-FCN", _DEPLOY),
    ForkLayer("SmoothL1LossOHEM", "", "R-FCN", _LOSS),
    ForkLayer("SoftmaxWithLossOHEM", "", "R-FCN", _LOSS),
    ForkLayer("Proposal", "proposal_param", "Faster R-CNN", _DECODE),
    ForkLayer("ROIAlign", "roi_align_param", "Mask R-CNN", _REGISTER),
    ForkLayer("FocalLoss", "focal_loss_param", "RetinaNet", _LOSS),
    ForkLayer("ShuffleChannel", "shuffle_channel_param", "ShuffleNet", "write it as Reshape, Permute and Reshape"),
    ForkLayer("Axpy", "", "SENet", "write it as Scale with axis 0 and two bottoms, and Eltwise"),
    ForkLayer("CenterLoss", "center_loss_param", "caffe-face", _LOSS),
    ForkLayer("MarginInnerProduct", "margin_inner_product_param", "SphereFace", _LOSS),
    ForkLayer("Normalization", "", "caffe-windows", "write Normalize with norm_param (SSD)"),
    ForkLayer("NormalizeJunction", "", "caffe-windows", _REGISTER),
    ForkLayer("TripletLoss", "triplet_loss_param", "caffe-face", _LOSS),
    ForkLayer("ImageSegData", "image_seg_data_param", "DeepLab", "use ImageData or an Input layer"),
    ForkLayer("DenseImageData", "dense_image_data_param", "SegNet", "use ImageData or an Input layer"),
    ForkLayer("SegAccuracy", "seg_accuracy_param", "DeepLab", "remove the layer, which only evaluates"),
    ForkLayer("Warp", "", "FlowNet", _REGISTER),
    ForkLayer("Correlation", "correlation_param", "FlowNet", _REGISTER),
    ForkLayer("Resample", "resample_param", "FlowNet", "use Interp"),
    ForkLayer("L1Loss", "l1_loss_param", "FlowNet", _LOSS),
    ForkLayer("SpatialTransformer", "st_param", "spatial transformer networks", _REGISTER),
    ForkLayer("CTCLoss", "ctc_loss_param", "CTC", _LOSS),
    ForkLayer("WarpCTCLoss", "warpctc_param", "CTC", _LOSS),
    ForkLayer("Lstm", "lstm_param", "junhyukoh/caffe-lstm", "use LSTM of Caffe 1.0, whose blobs have another order"),
)
_BY_TYPE = {layer.type_name: layer for layer in FORK_LAYERS}
_BY_FIELD = {layer.field: layer for layer in FORK_LAYERS if layer.field}


def explain_fork_type(type_name: str) -> str:
    """Return a clause about the fork of a layer type, or an empty string if none is known."""
    layer = _BY_TYPE.get(type_name)
    return "" if layer is None else f"it is a type of {layer.fork}, which is not built; {layer.way_out}"


def explain_fork_field(field: str) -> str:
    """Return a clause about the fork of a field of LayerParameter, or an empty string if none is known."""
    layer = _BY_FIELD.get(field)
    if layer is None:
        return ""
    return f"it belongs to layer type {layer.type_name} of {layer.fork}, which is not built; {layer.way_out}"
