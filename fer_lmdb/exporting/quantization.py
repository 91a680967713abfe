"""An ONNX file in int8: calibrated on training faces, measured on validation faces beside the float one."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fer_lmdb.data.dataset import DataSet
from fer_lmdb.data.lmdb_store import SplitArrays
from fer_lmdb.errors import DataSetError
from fer_lmdb.evaluation.metrics import wilson_interval
from fer_lmdb.exporting.onnx import INPUT, OUTPUT, require, session
from fer_lmdb.io.atomic import atomic_file
from fer_lmdb.labels import require_same
from fer_lmdb.models.model import Model
from fer_lmdb.runtime.logging import silenced

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

CALIBRATION_FACES = 1024
QUANTIZED = ("Conv", "Gemm", "MatMul", "MaxPool", "AveragePool", "Add", "Concat", "Relu", "LeakyRelu")
"""Operations in int8; the picture's own preparation and the softmax stay float32."""
_BATCH = 64
_ROUNDS = 20


@dataclass(frozen=True)
class CalibrationData:
    """Faces that a model understands.

    Attributes:
        data: the data set's folder.
        calibration: (N, 1, H, W) uint8, a seeded draw of training faces.
        val: the validation split.
    """

    data: Path
    calibration: NDArray[np.uint8]
    val: SplitArrays


def load_calibration_data(model: Model, folder: str | Path) -> CalibrationData:
    """Read the faces that an int8 file is calibrated and measured on.

    Raises:
        DataSetError: the data set is missing or damaged, or has other classes or another size than the model.
    """
    dataset = DataSet.open(folder)
    require_same(
        dataset.scheme,
        model.scheme,
        f"the label schemes of {folder} and the model {model.name} differ",
        "pass a data set built with the model's label scheme",
    )
    train = dataset.read("train").images
    size = model.preprocessing.size
    if train.shape[1:] != (1, size, size):
        found = " x ".join(map(str, train.shape[2:]))
        raise DataSetError(f"{folder} has faces of {found}, the model {model.name} expects {size} x {size}")
    chosen = np.random.default_rng(0).permutation(len(train))[:CALIBRATION_FACES]
    return CalibrationData(dataset.folder, train[np.sort(chosen)], dataset.read("val"))


def write_int8(path: Path, out: Path, faces: CalibrationData) -> dict[str, Any]:
    """Quantise an ONNX file and measure both; the new one appears when it is complete, with its figures.

    Weights are int8 with a scale a channel, activations uint8 with the range seen on the calibration faces.

    Args:
        path: the float file.
        out: the int8 file.
        faces: see `load_calibration_data`.
    Returns:
        calibration_faces, split, n, largest_difference and agreement (share of validation faces with the same
        expression) between the two, and for `float32` and `int8`: bytes, accuracy, ci95, ms_per_face (one by one),
        faces_per_second (batches of 64).
    """
    with tempfile.TemporaryDirectory() as folder, silenced(""):
        small = _quantize(path, Path(folder), faces.calibration)
        figures = _compare(path, small, faces)
        _note(small, figures)
        with atomic_file(out) as partial:
            shutil.copyfile(small, partial)
    return figures


def _compare(path: Path, small: Path, faces: CalibrationData) -> dict[str, Any]:
    """Measure both files; see `write_int8`."""
    sessions = {"float32": session(path), "int8": session(small)}
    rows = {name: _probabilities(own, faces.val.images) for name, own in sessions.items()}
    same = rows["float32"].argmax(1) == rows["int8"].argmax(1)
    figures: dict[str, Any] = {
        "calibration_faces": len(faces.calibration),
        "split": "val",
        "n": len(faces.val.labels),
        "largest_difference": float(np.abs(rows["float32"] - rows["int8"]).max()),
        "agreement": float(same.mean()),
    }
    speeds = _speeds(sessions, faces.val.images)
    for name, file in (("float32", path), ("int8", small)):
        hits = int((rows[name].argmax(1) == faces.val.labels).sum())
        measured = {"accuracy": hits / len(same), "ci95": wilson_interval(hits, len(same))}
        figures[name] = {"bytes": file.stat().st_size, **measured, **speeds[name]}
    return figures


def _quantize(path: Path, folder: Path, calibration: NDArray[np.uint8]) -> Path:
    """Write the int8 file into a folder; return its path."""
    quantization = require("onnxruntime.quantization")
    shape_inference = require("onnxruntime.quantization.shape_inference")
    shape_inference.quant_pre_process(path, folder / "folded.onnx", skip_symbolic_shape=True)
    reader = _reader(calibration)
    quantization.quantize_static(
        folder / "folded.onnx",
        folder / "int8.onnx",
        reader,
        quant_format=quantization.QuantFormat.QDQ,
        op_types_to_quantize=list(QUANTIZED),
        per_channel=True,
        weight_type=quantization.QuantType.QInt8,
        activation_type=quantization.QuantType.QUInt8,
        calibrate_method=quantization.CalibrationMethod.MinMax,
    )
    return folder / "int8.onnx"


def _reader(faces: NDArray[np.uint8]) -> Any:
    """The faces in batches, in the form that onnxruntime asks for."""
    quantization = require("onnxruntime.quantization")

    class Reader(quantization.CalibrationDataReader):  # type: ignore[name-defined]
        def __init__(self) -> None:
            self._batches = iter(faces[start : start + _BATCH] for start in range(0, len(faces), _BATCH))

        def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
            batch = next(self._batches, None)
            return None if batch is None else {INPUT: batch}

    return Reader()


def _probabilities(own: InferenceSession, faces: NDArray[np.uint8]) -> NDArray[np.float32]:
    batches = [own.run([OUTPUT], {INPUT: faces[start : start + 256]})[0] for start in range(0, len(faces), 256)]
    return np.concatenate(batches)


def _speeds(sessions: dict[str, InferenceSession], faces: NDArray[np.uint8]) -> dict[str, dict[str, float]]:
    """Time both in turns, so that whatever else the machine does meets both; the best of the rounds."""
    batch = faces[:_BATCH]
    single: dict[str, list[float]] = {name: [] for name in sessions}
    many: dict[str, list[float]] = {name: [] for name in sessions}
    for _ in range(_ROUNDS):
        for name, own in sessions.items():
            single[name].append(_seconds(own, batch[:1]))
            many[name].append(_seconds(own, batch))
    return {
        name: {
            "ms_per_face": 1000 * min(single[name]),
            "faces_per_second": len(batch) / min(many[name]),
        }
        for name in sessions
    }


def _seconds(own: InferenceSession, faces: NDArray[np.uint8]) -> float:
    began = time.perf_counter()
    own.run([OUTPUT], {INPUT: faces})
    return time.perf_counter() - began


def _note(path: Path, figures: dict[str, Any]) -> None:
    """Write what was measured into the file's metadata; its own size changes by that."""
    onnx = require("onnx")
    proto = onnx.load_model(path)
    texts = {one.key: one.value for one in proto.metadata_props}
    onnx.helper.set_model_props(proto, {**texts, "int8": json.dumps(figures)})
    onnx.save_model(proto, path)
    figures["int8"]["bytes"] = path.stat().st_size
