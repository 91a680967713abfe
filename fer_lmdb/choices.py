"""Values of options with a fixed set of choices, without the imports of the modules that implement them.

The command line lists these values in help and completion, the library checks its arguments against them.
"""

from __future__ import annotations

SPLITS = ("train", "val", "test")
PRECISIONS = ("auto", "bfloat16", "float32")
TTA_VIEWS = (1, 2, 4, 10)
EXECUTORS = ("local", "ray")
EXPORT_FORMATS = ("caffe", "onnx", "safetensors")

# build
ALIGNMENTS = ("landmarks", "box")
TEMPLATES = ("fer2013", "arcface")
FILLS = ("edge", "black")
ON_NO_FACE = ("keep", "drop")
ENCODINGS = ("raw", "png")

# train
LOADERS = ("auto", "memory", "stream")
TRAIN_SPLITS = ("train", "train+val")
LR_POLICIES = ("fixed", "multistep", "cosine", "plateau", "poly")
OPTIMIZERS = ("sgd", "nesterov", "adam", "adamw", "adagrad", "rmsprop", "adadelta")
SOFT_LABEL_MODES = ("majority", "probability", "cross-entropy")
DISTILL_MODES = ("offline", "online")
MONITORS = ("loss", "accuracy")
