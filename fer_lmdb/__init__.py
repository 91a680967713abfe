"""Facial-expression recognition the Caffe way: LMDB, mean image, prototxt, on PyTorch.

    import fer_lmdb as fer
    faces = fer.Recognizer()("photo.jpg")

The names of `__all__` are the public API; docs/api.md documents them. Each is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from fer_lmdb._version import __version__

if TYPE_CHECKING:
    from fer_lmdb import errors as errors
    from fer_lmdb.data.build.builder import build as build
    from fer_lmdb.data.build.join import join as join
    from fer_lmdb.data.build.options import BuildOptions as BuildOptions
    from fer_lmdb.data.dataset import DataSet as DataSet
    from fer_lmdb.data.loaders import LoaderOptions as LoaderOptions
    from fer_lmdb.evaluation.calibrate import CalibrationResult as CalibrationResult
    from fer_lmdb.evaluation.calibrate import calibrate as calibrate
    from fer_lmdb.evaluation.evaluate import evaluate as evaluate
    from fer_lmdb.evaluation.options import EvalOptions as EvalOptions
    from fer_lmdb.evaluation.result import EvaluationResult as EvaluationResult
    from fer_lmdb.exporting.export import export as export
    from fer_lmdb.faces.detectors.registry import get_detector as get_detector
    from fer_lmdb.faces.preprocessing import Preprocessing as Preprocessing
    from fer_lmdb.faces.tracking import FaceTracker as FaceTracker
    from fer_lmdb.inference.images import predict_images as predict_images
    from fer_lmdb.inference.live import predict_camera as predict_camera
    from fer_lmdb.inference.recognizer import Recognizer as Recognizer
    from fer_lmdb.inference.video import predict_video as predict_video
    from fer_lmdb.inspection.inspect import inspect as inspect
    from fer_lmdb.models.caffe_import import CaffeOptions as CaffeOptions
    from fer_lmdb.models.caffe_import import import_caffe as import_caffe
    from fer_lmdb.models.classifier import Classifier as Classifier
    from fer_lmdb.models.listing import list_models as list_models
    from fer_lmdb.models.loaded_model import load_model as load_model
    from fer_lmdb.models.model import Model as Model
    from fer_lmdb.reporting.report import report as report
    from fer_lmdb.results import FacePrediction as FacePrediction
    from fer_lmdb.results import FramePrediction as FramePrediction
    from fer_lmdb.results import ImagePrediction as ImagePrediction
    from fer_lmdb.training.callbacks import Callback as Callback
    from fer_lmdb.training.callbacks import TrainProgress as TrainProgress
    from fer_lmdb.training.options import TrainOptions as TrainOptions
    from fer_lmdb.training.result import TrainResult as TrainResult
    from fer_lmdb.training.train import resume as resume
    from fer_lmdb.training.train import train as train
    from fer_lmdb.visualization.annotate import annotate as annotate

_HOMES = {
    "BuildOptions": "data.build.options",
    "Callback": "training.callbacks",
    "CaffeOptions": "models.caffe_import",
    "CalibrationResult": "evaluation.calibrate",
    "Classifier": "models.classifier",
    "DataSet": "data.dataset",
    "EvalOptions": "evaluation.options",
    "EvaluationResult": "evaluation.result",
    "FacePrediction": "results",
    "FaceTracker": "faces.tracking",
    "FramePrediction": "results",
    "ImagePrediction": "results",
    "LoaderOptions": "data.loaders",
    "Model": "models.model",
    "Preprocessing": "faces.preprocessing",
    "Recognizer": "inference.recognizer",
    "TrainOptions": "training.options",
    "TrainProgress": "training.callbacks",
    "TrainResult": "training.result",
    "annotate": "visualization.annotate",
    "build": "data.build.builder",
    "calibrate": "evaluation.calibrate",
    "evaluate": "evaluation.evaluate",
    "export": "exporting.export",
    "get_detector": "faces.detectors.registry",
    "import_caffe": "models.caffe_import",
    "inspect": "inspection.inspect",
    "join": "data.build.join",
    "list_models": "models.listing",
    "load_model": "models.loaded_model",
    "predict_camera": "inference.live",
    "predict_images": "inference.images",
    "predict_video": "inference.video",
    "report": "reporting.report",
    "resume": "training.train",
    "train": "training.train",
}
"""Public name -> module below fer_lmdb that defines it. PyTorch takes a second to import, so imports are lazy."""

__all__ = [
    "BuildOptions",
    "CaffeOptions",
    "CalibrationResult",
    "Callback",
    "Classifier",
    "DataSet",
    "EvalOptions",
    "EvaluationResult",
    "FacePrediction",
    "FaceTracker",
    "FramePrediction",
    "ImagePrediction",
    "LoaderOptions",
    "Model",
    "Preprocessing",
    "Recognizer",
    "TrainOptions",
    "TrainProgress",
    "TrainResult",
    "__version__",
    "annotate",
    "build",
    "calibrate",
    "errors",
    "evaluate",
    "export",
    "get_detector",
    "import_caffe",
    "inspect",
    "join",
    "list_models",
    "load_model",
    "predict_camera",
    "predict_images",
    "predict_video",
    "report",
    "resume",
    "train",
]


def __getattr__(name: str) -> Any:
    """Import a public name on first use."""
    if name == "errors":
        return importlib.import_module("fer_lmdb.errors")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"fer_lmdb.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
