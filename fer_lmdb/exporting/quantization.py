"""Quantize an ONNX file to int8: calibrated on training faces, compared with float32 on validation faces."""

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
from fer_lmdb.errors import DataSetError
from fer_lmdb.evaluation.metrics import wilson_interval
from fer_lmdb.exporting.onnx import INPUT, OUTPUT, require, session
from fer_lmdb.io.atomic import atomic_file
from fer_lmdb.labels import require_same
from fer_lmdb.models.model import Model
from fer_lmdb.runtime.logging import silenced
from prototxt_like.io.datum_store import SplitArrays

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

CALIBRATION_FACES = 1024
QUANTIZED = ("Conv", "Gemm", "MatMul", "MaxPool", "AveragePool", "Add", "Concat", "Relu", "LeakyRelu")
"""Operations in int8. Image preprocessing and softmax remain float32."""
_BATCH_SIZE = 64
_ROUNDS = 20


@dataclass(frozen=True)
class CalibrationData:
    """Faces for calibration and evaluation, with the model's size and classes.

    Attributes:
        data: Folder of the data set.
        calibration: (N, 1, H, W) uint8, a seeded sample of training faces.
        val: Validation split.
    """

    data: Path
    calibration: NDArray[np.uint8]
    val: SplitArrays


def load_calibration_data(model: Model, folder: str | Path) -> CalibrationData:
    """Read the faces for calibration and evaluation.

    Args:
        model: Model to quantize.
        folder: Data set.

    Raises:
        DataSetError: If the data set is missing or damaged, or does not match the model's classes or size.
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
    if train.shape[1:] != (model.preprocessing.channels, size, size):
        found = " x ".join(map(str, train.shape[2:]))
        raise DataSetError(
            f"{folder}: wrong face size: found {found}, expected {size} x {size} of the model {model.name}; "
            "pass another data set"
        )
    chosen = np.random.default_rng(0).permutation(len(train))[:CALIBRATION_FACES]
    return CalibrationData(dataset.folder, train[np.sort(chosen)], dataset.read("val"))


def write_int8(path: Path, out: Path, faces: CalibrationData) -> dict[str, Any]:
    """Quantize an ONNX file, and compare both files; the results are stored in the metadata of the new one.

    Weights are int8 with a scale per channel. Activations are uint8 with the range found on the calibration faces.

    Args:
        path: Float32 file.
        out: Int8 file to write.
        faces: Faces for calibration and evaluation.

    Returns:
        calibration_faces, split, n, largest_difference (of a probability) and agreement (fraction of validation faces
        with the same prediction), and for `float32` and `int8`: bytes, accuracy, ci95, ms_per_face (one at a time) and
        faces_per_second (batches of 64).
    """
    with tempfile.TemporaryDirectory() as folder, silenced(""):
        small = _quantize(path, Path(folder), faces.calibration)
        results = _compare(path, small, faces)
        _store_results(small, results)
        with atomic_file(out) as partial:
            shutil.copyfile(small, partial)
    return results


def _compare(path: Path, small: Path, faces: CalibrationData) -> dict[str, Any]:
    """Evaluate and time both files; see `write_int8`."""
    sessions = {"float32": session(path), "int8": session(small)}
    rows = {name: _probabilities(runtime, faces.val.images) for name, runtime in sessions.items()}
    same = rows["float32"].argmax(1) == rows["int8"].argmax(1)
    results: dict[str, Any] = {
        "calibration_faces": len(faces.calibration),
        "split": "val",
        "n": len(faces.val.labels),
        "largest_difference": float(np.abs(rows["float32"] - rows["int8"]).max()),
        "agreement": float(same.mean()),
    }
    speeds = _speeds(sessions, faces.val.images)
    for name, file in (("float32", path), ("int8", small)):
        hits = int((rows[name].argmax(1) == faces.val.labels).sum())
        accuracy = {"accuracy": hits / len(same), "ci95": wilson_interval(hits, len(same))}
        results[name] = {"bytes": file.stat().st_size, **accuracy, **speeds[name]}
    return results


def _quantize(path: Path, folder: Path, calibration: NDArray[np.uint8]) -> Path:
    """Write the int8 file to a folder, and return its path."""
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
    """Return the faces as an onnxruntime data reader."""
    quantization = require("onnxruntime.quantization")

    class Reader(quantization.CalibrationDataReader):  # type: ignore[name-defined]
        def __init__(self) -> None:
            self._batches = iter(faces[start : start + _BATCH_SIZE] for start in range(0, len(faces), _BATCH_SIZE))

        def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
            batch = next(self._batches, None)
            return None if batch is None else {INPUT: batch}

    return Reader()


def _probabilities(runtime: InferenceSession, faces: NDArray[np.uint8]) -> NDArray[np.float32]:
    batches = [runtime.run([OUTPUT], {INPUT: faces[start : start + 256]})[0] for start in range(0, len(faces), 256)]
    return np.concatenate(batches)


def _speeds(sessions: dict[str, InferenceSession], faces: NDArray[np.uint8]) -> dict[str, dict[str, float]]:
    """Return the best time of alternating rounds, so that other load on the machine affects both files."""
    batch = faces[:_BATCH_SIZE]
    single: dict[str, list[float]] = {name: [] for name in sessions}
    batched: dict[str, list[float]] = {name: [] for name in sessions}
    for _ in range(_ROUNDS):
        for name, runtime in sessions.items():
            single[name].append(_seconds(runtime, batch[:1]))
            batched[name].append(_seconds(runtime, batch))
    return {
        name: {
            "ms_per_face": 1000 * min(single[name]),
            "faces_per_second": len(batch) / min(batched[name]),
        }
        for name in sessions
    }


def _seconds(runtime: InferenceSession, faces: NDArray[np.uint8]) -> float:
    started = time.perf_counter()
    runtime.run([OUTPUT], {INPUT: faces})
    return time.perf_counter() - started


def _store_results(path: Path, results: dict[str, Any]) -> None:
    """Store the results in the file's metadata, and update the file size in them."""
    onnx = require("onnx")
    proto = onnx.load_model(path)
    texts = {entry.key: entry.value for entry in proto.metadata_props}
    onnx.helper.set_model_props(proto, {**texts, "int8": json.dumps(results)})
    onnx.save_model(proto, path)
    results["int8"]["bytes"] = path.stat().st_size
