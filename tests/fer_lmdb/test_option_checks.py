"""The constructors of the library check what the command line checks, before anything is read or written."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from fer_lmdb.data.build import build
from fer_lmdb.data.build.join import join
from fer_lmdb.data.build.options import BuildOptions
from fer_lmdb.data.loaders import LoaderOptions
from fer_lmdb.errors import DetectorError, DeviceError, ModelError, OptionError, RunError
from fer_lmdb.evaluation.options import EvalOptions
from fer_lmdb.exporting.export import export
from fer_lmdb.faces.preprocessing import RANGES as PREPROCESSING_RANGES
from fer_lmdb.faces.preprocessing import Preprocessing
from fer_lmdb.inference.output_paths import OutputPaths
from fer_lmdb.inference.recognizer import Recognizer
from fer_lmdb.reporting.report import report
from fer_lmdb.serve.settings import RANGES as SERVER_RANGES
from fer_lmdb.serve.settings import ServerSettings
from fer_lmdb.training.options import RANGES as TRAIN_RANGES
from fer_lmdb.training.options import TrainOptions

WRONG = [math.nan, math.inf, -math.inf, 10**300, -(10**300), "1", True, [1]]


@pytest.mark.parametrize("value", WRONG)
@pytest.mark.parametrize(
    ("options", "ranges", "error"),
    [
        (TrainOptions, TRAIN_RANGES, RunError),
        (Preprocessing, PREPROCESSING_RANGES, DetectorError),
        (ServerSettings, SERVER_RANGES, OptionError),
        (BuildOptions, ("seed", "shards"), OptionError),
        (LoaderOptions, ("workers",), RunError),
    ],
)
def test_numbers_of_options(options, ranges, error, value):
    for name in ranges:
        with pytest.raises(error, match=rf"^invalid (--)?{name.replace('_', '.')}: found .*, expected an? "):
            options(**{name: value})


@pytest.mark.parametrize("options", [TrainOptions, ServerSettings, BuildOptions])
@pytest.mark.parametrize("device", ["meta", "cuda:x", "", None, 3])
def test_devices(options, device):
    with pytest.raises(DeviceError, match=r"invalid device: found .*, expected auto, cpu, cuda"):
        options(device=device)


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: Recognizer("missing", min_face=math.nan), OptionError, "min_face"),
        (lambda: Recognizer("missing", min_face=math.inf), OptionError, "min_face"),
        (lambda: Recognizer("missing", min_probability=math.nan), OptionError, "min_probability"),
        (lambda: Recognizer("missing", tta=True), OptionError, "tta"),
        (lambda: Recognizer("missing", precision="half"), OptionError, "precision"),
        (lambda: Recognizer("missing", device="meta"), DeviceError, "invalid device: found 'meta'"),
        (lambda: EvalOptions(["m"], ["d"], device="meta"), DeviceError, "invalid device"),
        (lambda: EvalOptions(["m"], ["d"], precision="half"), OptionError, "precision"),
        (lambda: EvalOptions(["m"], ["d"], ensemble_weights=[math.nan]), OptionError, "ensemble_weights"),
        (lambda: build("missing.csv", "out", margin=1e9), DetectorError, "invalid margin: found 1000000000.0"),
        (lambda: build("missing.csv", "out", seed=10**300), OptionError, "invalid seed: found 1000"),
        (
            lambda: build("missing.csv", "out", on_no_face="ask"),
            OptionError,
            "on_no_face: found 'ask'",
        ),
        (lambda: join(["missing", "other"], "out", seed=-1), OptionError, "invalid seed: found -1"),
        (lambda: report("missing", seed=-1), OptionError, "invalid seed: found -1"),
        (lambda: report("missing", device="meta"), DeviceError, "invalid device"),
        (lambda: OutputPaths(plot=Path("x.xyz")), OptionError, 'the ending ".xyz"'),
        (lambda: export("missing", ".", "onnx"), ModelError, "found a folder, expected a file for the format onnx"),
        (lambda: export("missing", ".", "safetensors"), ModelError, "expected a file for the format safetensors"),
    ],
)
def test_calls_with_wrong_values(call, error, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=said.replace("(", r"\(")) as raised:
        call()
    assert "\n" not in str(raised.value)
    assert list(tmp_path.iterdir()) == []


def test_paths_of_training_options_are_stored_as_texts():
    assert TrainOptions(data=Path("data") / "x").data == str(Path("data") / "x")
