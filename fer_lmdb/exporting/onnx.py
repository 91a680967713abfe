"""Export a model as one ONNX file that maps uint8 faces to probabilities, preprocessing included."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fer_lmdb._version import __version__
from fer_lmdb.errors import MissingExtra, ModelError
from fer_lmdb.faces.preprocessing import Preprocessing
from fer_lmdb.io.atomic import atomic_file
from fer_lmdb.models.classifier import Classifier
from fer_lmdb.models.model import Model
from fer_lmdb.runtime.logging import silenced

if TYPE_CHECKING:
    from onnx import ModelProto
    from onnxruntime import InferenceSession

FORMAT = "fer-lmdb onnx 1"
INPUT, OUTPUT = "faces", "probabilities"
OPSET = 18
MAX_DIFFERENCE = 1e-4
"""Maximum difference of a probability between onnxruntime and PyTorch; in float32 it is about 1e-6."""
CHECKED_FACES = 128
CHECKED_CONSTANTS = (0, 50, 113, 255)
"""Values of the first checked images, which are constant: their standard deviation is 0."""
_PUBLIC_METRICS = ("split", "n", "accuracy", "ci95", "tta")


def write_onnx(model: Model, path: Path) -> dict[str, Any]:
    """Write a model as ONNX, then run the file and compare its probabilities with the model's.

    The input `faces` is (N, C, size, size) uint8, 0-255, gray or in the channel order of the preprocessing; the output
    `probabilities` is (N, classes) float32.
    metadata_props contain classes (JSON, in label order), scheme, preprocessing (detection and alignment settings of
    the training faces), figures (results of `evaluate`) and data.

    Args:
        model: Model to export.
        path: File to write.

    Returns:
        checked_faces, largest_difference (of a probability) and bytes.

    Raises:
        ModelError: If the net cannot be expressed in ONNX, or the file does not reproduce the model's probabilities;
            no file is written in this case.
        MissingExtra: If the packages are not installed.
    """
    onnx = require("onnx")
    classifier = Classifier(model)
    proto = _to_graph(model, classifier)
    _describe(proto, model)
    with atomic_file(path) as partial:
        onnx.save_model(proto, partial)
        difference = _largest_difference(session(partial), classifier, model.preprocessing)
        if not difference <= MAX_DIFFERENCE:
            raise ModelError(
                f"{path}: onnxruntime's probabilities differ from the model's by up to {difference:.1e}, expected at "
                f"most {MAX_DIFFERENCE:.0e}; no file was written, use another format"
            )
    return {"checked_faces": CHECKED_FACES, "largest_difference": difference, "bytes": path.stat().st_size}


def session(path: Path) -> InferenceSession:
    """Open an ONNX file with onnxruntime on the CPU."""
    return require("onnxruntime").InferenceSession(path, providers=["CPUExecutionProvider"])


def require(package: str) -> Any:
    """Import a package of the extra [onnx].

    Raises:
        MissingExtra: If it is not installed.
    """
    import importlib

    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise MissingExtra(
            f"the export to ONNX requires {package}; install the extra: pip install 'fer-lmdb[onnx]'"
        ) from error


def random_inputs(count: int, size: int, channels: int = 1) -> NDArray[np.uint8]:
    """Return smooth random images of varying brightness, which activate a net similarly to photos.

    Returns:
        (count, channels, size, size) uint8, the same on every call.
    """
    generator = np.random.default_rng(0)
    coarse = generator.uniform(-1, 1, (count, channels, 6, 6)).astype(np.float32)
    smooth = nn.functional.interpolate(torch.from_numpy(coarse), (size, size), mode="bicubic").numpy()
    mean, spread = generator.uniform((60, 20), (190, 120), (count, 2)).T[..., None, None, None]
    noisy = mean + spread * smooth + generator.normal(0, 6, smooth.shape)
    return np.asarray(noisy.clip(0, 255), np.uint8)


class _ExportModule(nn.Module):
    """Transform and net as one module."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.net, self.transform = classifier.net, classifier.transform

    def forward(self, faces: Tensor) -> Tensor:
        (output,) = self.net(self.transform(faces)).values()
        return output.flatten(1)


def _to_graph(model: Model, classifier: Classifier) -> ModelProto:
    require("onnxscript")
    size = model.preprocessing.size
    example = torch.zeros((2, model.preprocessing.channels, size, size), dtype=torch.uint8)
    try:
        with silenced("torch.onnx"), torch.no_grad():
            program = torch.onnx.export(
                _ExportModule(classifier).eval(),
                (example,),
                dynamo=True,
                opset_version=OPSET,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes={INPUT: {0: torch.export.Dim("N")}},
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        reason = str(error.__cause__ or error).strip().splitlines()[0]
        raise ModelError(f"the net {model.name} cannot be expressed in ONNX: {reason}; export it as caffe") from error
    if program is None:
        raise ModelError(f"PyTorch {torch.__version__} cannot export to ONNX; install torch 2.6 or newer")
    return program.model_proto


def _describe(proto: ModelProto, model: Model) -> None:
    """Set the metadata, and remove PyTorch's references to its source lines."""
    onnx = require("onnx")
    graph = proto.graph
    for part in [graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer]:
        part.ClearField("metadata_props")
    graph.name = model.name
    proto.producer_name, proto.producer_version = "fer-lmdb", __version__
    evaluations = model.metadata.evaluations
    results = [{key: each[key] for key in _PUBLIC_METRICS if key in each} for each in evaluations]
    texts = {
        "format": FORMAT,
        "name": model.name,
        "scheme": model.scheme.name,
        "classes": json.dumps(model.scheme.classes),
        "preprocessing": json.dumps(model.preprocessing.to_dict()),
        "figures": json.dumps(results),
        "data": json.dumps(model.metadata.data),
    }
    onnx.helper.set_model_props(proto, texts)


def _largest_difference(exported: InferenceSession, classifier: Classifier, preprocessing: Preprocessing) -> float:
    faces = random_inputs(CHECKED_FACES, preprocessing.size, preprocessing.channels)
    faces[: len(CHECKED_CONSTANTS)] = np.reshape(CHECKED_CONSTANTS, (-1, 1, 1, 1))
    (found,) = exported.run([OUTPUT], {INPUT: faces})
    return float(np.abs(found - classifier.probabilities(faces)).max())
