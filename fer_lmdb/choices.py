"""Values of options with a fixed set of choices, without the imports of the modules that implement them.

The command line lists these values in help and completion, the library checks its arguments against them.
"""

from __future__ import annotations

SPLITS = ("train", "val", "test")
PRECISIONS = ("auto", "bfloat16", "float32")
DEVICE_TYPES = ("cpu", "cuda", "mps", "xpu")
PLOT_SUFFIXES = (".png", ".svg", ".pdf", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".eps", ".ps")
TTA_VIEWS = (1, 2, 4, 10)
EXECUTORS = ("local", "ray")
ROTATIONS = ("none", "auto")
EXPORT_FORMATS = ("caffe", "onnx", "safetensors")

# build
ALIGNMENTS = ("landmarks", "box")
FACE_ALIGNMENTS = (*ALIGNMENTS, "both")
"""Alignments of predict and evaluate: with "both", the probabilities of the two crops are averaged."""
CHANNEL_ORDERS = ("gray", "bgr", "rgb")
TEMPLATES = ("fer2013", "arcface")
FILLS = ("edge", "black")
ON_NO_FACE = ("keep", "drop")
ENCODINGS = ("raw", "png")

# train
LOADERS = ("auto", "memory", "stream")
TRAIN_SPLITS = ("train", "train+val")
LR_POLICIES = ("fixed", "multistep", "cosine", "plateau", "poly")
OPTIMIZERS = {
    "sgd": "SGD",
    "nesterov": "Nesterov",
    "adam": "Adam",
    "adamw": "AdamW",
    "adagrad": "AdaGrad",
    "rmsprop": "RMSProp",
    "adadelta": "AdaDelta",
}
"""Option value -> Caffe's solver type."""
SOFT_LABEL_MODES = ("majority", "probability", "cross-entropy")
DISTILL_MODES = {"offline": "faces", "online": "batches"}
"""Option value -> value of the solver field teacher_sees."""
MONITORS = {"loss": "val_loss", "accuracy": "val_accuracy"}
"""Option value -> key of the epoch log."""
