"""A model as one ONNX file: uint8 faces in, probabilities out, everything between them in the graph."""

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
"""Probabilities of the two programs may differ by this; in float32 they differ by about 1e-6."""
CHECKED_FACES = 128
_FIGURES = ("split", "n", "accuracy", "ci95", "tta")


def write_onnx(model: Model, path: Path) -> dict[str, Any]:
    """Write a model as ONNX, then run the file and compare it with the model.

    The graph's input `faces` is (N, 1, size, size) uint8 grey 0-255, its output `probabilities` (N, classes) float32.
    metadata_props hold classes (JSON, in label order), scheme, preprocessing (how a face is cut out of a photograph),
    figures and data.

    Args:
        model: the model.
        path: the file.
    Returns:
        checked_faces, largest_difference (of a probability), bytes.
    Raises:
        ModelError: the net has no form in ONNX, or the file computes otherwise than the model; no file is left then.
        MissingExtra: the packages are not installed.
    """
    onnx = require("onnx")
    classifier = Classifier(model)
    proto = _to_graph(model, classifier)
    _describe(proto, model)
    with atomic_file(path) as partial:
        onnx.save_model(proto, partial)
        difference = _largest_difference(session(partial), classifier, model.preprocessing.size)
        if not difference <= MAX_DIFFERENCE:
            raise ModelError(
                f"{path}: onnxruntime's probabilities differ from the model's by up to {difference:.1e}, allowed is "
                f"{MAX_DIFFERENCE:.0e}; the file was not kept, use another format"
            )
    return {"checked_faces": CHECKED_FACES, "largest_difference": difference, "bytes": path.stat().st_size}


def session(path: Path) -> InferenceSession:
    """Open an ONNX file with onnxruntime, on the processor."""
    return require("onnxruntime").InferenceSession(path, providers=["CPUExecutionProvider"])


def require(package: str) -> Any:
    """Import a package of the extra [onnx].

    Raises:
        MissingExtra: it is not installed.
    """
    import importlib

    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise MissingExtra(f"export to ONNX needs {package}: pip install 'fer-lmdb[onnx]'") from error


def random_inputs(count: int, size: int) -> NDArray[np.uint8]:
    """Draw soft random pictures of every brightness, which reach a net's layers as photographs do.

    Returns:
        (count, 1, size, size) uint8, always the same.
    """
    generator = np.random.default_rng(0)
    coarse = generator.uniform(-1, 1, (count, 1, 6, 6)).astype(np.float32)
    soft = nn.functional.interpolate(torch.from_numpy(coarse), (size, size), mode="bicubic").numpy()
    middle, spread = generator.uniform((60, 20), (190, 120), (count, 2)).T[..., None, None, None]
    noisy = middle + spread * soft + generator.normal(0, 6, soft.shape)
    return np.asarray(noisy.clip(0, 255), np.uint8)


class _ExportModule(nn.Module):
    """Transform and net in one module."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.net, self.transform = classifier.net, classifier.transform

    def forward(self, faces: Tensor) -> Tensor:
        (output,) = self.net(self.transform(faces)).values()
        return output.flatten(1)


def _to_graph(model: Model, classifier: Classifier) -> ModelProto:
    require("onnxscript")
    size = model.preprocessing.size
    example = torch.zeros((2, 1, size, size), dtype=torch.uint8)
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
        raise ModelError(f"the net {model.name} has no form in ONNX: {reason}; export it as caffe") from error
    if program is None:
        raise ModelError(f"this PyTorch ({torch.__version__}) cannot write ONNX; install torch 2.6 or newer")
    return program.model_proto


def _describe(proto: ModelProto, model: Model) -> None:
    """Put names and figures in, and PyTorch's notes on its own source lines out."""
    onnx = require("onnx")
    graph = proto.graph
    for noted in [graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer]:
        noted.ClearField("metadata_props")
    graph.name = model.name
    proto.producer_name, proto.producer_version = "fer-lmdb", __version__
    figures = [{key: one[key] for key in _FIGURES if key in one} for one in model.metadata.get("evaluations", [])]
    texts = {
        "format": FORMAT,
        "name": model.name,
        "scheme": model.scheme.name,
        "classes": json.dumps(model.scheme.classes),
        "preprocessing": json.dumps(model.preprocessing.to_dict()),
        "figures": json.dumps(figures),
        "data": json.dumps(model.metadata.get("data", {})),
    }
    onnx.helper.set_model_props(proto, texts)


def _largest_difference(ours: InferenceSession, classifier: Classifier, size: int) -> float:
    faces = random_inputs(CHECKED_FACES, size)
    (found,) = ours.run([OUTPUT], {INPUT: faces})
    return float(np.abs(found - classifier.probabilities(faces)).max())
