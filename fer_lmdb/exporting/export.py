"""Export a model to another format."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fer_lmdb.choices import EXPORT_FORMATS
from fer_lmdb.errors import ModelError
from fer_lmdb.exporting.temperature import fold_temperature
from fer_lmdb.io.outputs import OutputGuard
from fer_lmdb.models.evaluation_log import read_evaluations
from fer_lmdb.models.model import Model
from fer_lmdb.models.registry import ModelSource, load_model, resolve_model
from fer_lmdb.models.run_folder import RunFolder

FORMAT_BY_SUFFIX = {".onnx": "onnx", ".safetensors": "safetensors"}


@dataclass(frozen=True)
class ExportResult:
    """Result of an export.

    Attributes:
        format: "caffe", "onnx" or "safetensors".
        files: Written files.
        checks: Measurements of the written files, JSON-serializable; see `fer_lmdb.exporting.onnx.write_onnx`.
    """

    format: str
    files: list[Path]
    checks: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as a JSON-serializable dict."""
        return {"format": self.format, "files": [str(path) for path in self.files], **self.checks}


def export(
    model: ModelSource | Model,
    out: str | Path,
    format: str | None = None,  # noqa: A002 - the name of the command's option
    int8_data: str | Path | None = None,
    *,
    calibrated: bool = True,
    raw_input: bool = False,
    force: bool = False,
) -> ExportResult:
    """Export a model.

    Args:
        model: Pretrained name, model file, run folder, name of a run in runs/, or loaded model.
        out: File to write; a folder for Caffe.
        format: "caffe": deploy.prototxt, caffemodel and mean.binaryproto. "onnx": one file that maps uint8 faces to
            probabilities, compared with the model after it is written. "safetensors": one file with large blobs in
            half precision and the evaluations of the run. None: by the suffix of `out`, Caffe for a folder.
        int8_data: For "onnx", a data set: also write ``<out>-int8.onnx``, calibrated on its training faces and
            evaluated on its validation faces.
        calibrated: Whether the exported model returns calibrated probabilities. Caffe and ONNX files have the
            temperature folded into the last layer's weights; a safetensors file has it in its metadata.
        raw_input: For "caffe": the net takes the pixels of a cropped face. Mean and scale are layers of the net, and a
            README.md has the code that runs it.
        force: Whether to replace files that this program did not write, unless they are inputs, other models, or files
            of a data set or run.

    Raises:
        OutputError: If a file would replace something that is not to be replaced, see `fer_lmdb.io.outputs`.
        ModelError: If the model or format does not exist, the model cannot be expressed in the format, or the written
            file does not reproduce the model's probabilities.
        DataSetError: If the data set is missing or does not match the model's classes or size.
        MissingExtra: If the packages for ONNX are not installed.
    """
    out = Path(out)
    chosen = choose_format(out, format)
    if int8_data is not None and chosen != "onnx":
        raise ModelError(f"int8 requires the format onnx, not {chosen}")
    if raw_input and chosen != "caffe":
        raise ModelError(f"raw_input requires the format caffe, not {chosen}")
    if chosen != "caffe" and (out.is_dir() or not out.name):
        raise ModelError(f"invalid out {out}: found a folder, expected a file for the format {chosen}; add a file name")
    guard = OutputGuard([] if isinstance(model, Model) else [resolve_model(model)], force=force)
    if chosen != "caffe":
        guard.check(out, f".{chosen}")
    if int8_data is not None:
        guard.check(_int8_path(out))
    loaded = _load_with_evaluations(model)
    if not calibrated:
        loaded = replace(loaded, metadata=loaded.metadata.with_calibration(None))
    if chosen == "caffe":
        from fer_lmdb.exporting.caffe import write_caffe

        return ExportResult(chosen, write_caffe(fold_temperature(loaded), out, guard, raw_input=raw_input))
    out.parent.mkdir(parents=True, exist_ok=True)
    if chosen == "safetensors":
        loaded.half().save(out)
        return ExportResult(chosen, [out])
    return _export_onnx(fold_temperature(loaded), out, int8_data)


def choose_format(out: Path, name: str | None) -> str:
    """Return the format: by name, or by the suffix of the output path.

    Raises:
        ModelError: If there is no format of this name or for this suffix.
    """
    if name is None:
        name = FORMAT_BY_SUFFIX.get(out.suffix.lower(), "caffe")
        if name == "caffe" and out.suffix[1:].isalpha() and not out.is_dir():
            raise ModelError(
                f'no format for the suffix "{out.suffix}"; use {" or ".join(FORMAT_BY_SUFFIX)}, a folder for Caffe, or '
                "set the format"
            )
    if name not in EXPORT_FORMATS:
        raise ModelError(f'unknown format "{name}"; choose one of: {", ".join(EXPORT_FORMATS)}')
    return name


def _export_onnx(model: Model, out: Path, int8_data: str | Path | None) -> ExportResult:
    from fer_lmdb.exporting.onnx import write_onnx

    if int8_data is None:
        return ExportResult("onnx", [out], write_onnx(model, out))
    from fer_lmdb.exporting.quantization import load_calibration_data, write_int8

    faces = load_calibration_data(model, int8_data)  # before the slow steps, so that errors appear at once
    checks = write_onnx(model, out)
    int8_out = _int8_path(out)
    return ExportResult("onnx", [out, int8_out], {**checks, "int8": write_int8(out, int8_out, faces)})


def _int8_path(out: Path) -> Path:
    return out.with_name(f"{out.stem}-int8{out.suffix}")


def _load_with_evaluations(model: ModelSource | Model) -> Model:
    """Load a model; if it is given as a run, the evaluations logged in the run become part of its metadata."""
    if isinstance(model, Model):
        return model
    loaded, run = load_model(model), RunFolder(resolve_model(model).parent)
    if Path(model).is_file() or not run.config.is_file():
        return loaded
    return replace(loaded, metadata=loaded.metadata.with_evaluations(read_evaluations(run)))
