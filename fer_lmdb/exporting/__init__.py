"""A model in other forms: a half-sized .safetensors, Caffe's files, ONNX."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fer_lmdb.errors import ModelError
from fer_lmdb.models import model as models
from fer_lmdb.models.model import Model
from fer_lmdb.models.run_folder import RunFolder

FORMATS = ("safetensors", "caffe", "onnx")


@dataclass(frozen=True)
class Exported:
    """What an export has written.

    Attributes:
        files: the files.
        facts: what was measured on them, plain JSON values; see `fer_lmdb.exporting.onnx`.
    """

    files: list[Path]
    facts: dict[str, Any] = field(default_factory=dict)


def export(name: str | Path, form: str, out: Path, int8_data: str | Path | None = None) -> Exported:
    """Write a model in another form.

    Args:
        name: shipped name, model file or run folder.
        form: "safetensors": large blobs in half precision, with the figures that were measured on the run;
            "caffe": deploy.prototxt, a caffemodel and mean.binaryproto in the folder `out`;
            "onnx": one file from uint8 faces to probabilities, compared with the model after it is written.
        out: the file or folder to write.
        int8_data: for "onnx": also write `<out>-int8.onnx`, calibrated on the training faces of this data set and
            measured on its validation faces.
    Returns:
        the files written and what was measured on them.
    Raises:
        ModelError: no such model or form, a form that the model does not fit, or a file that computes otherwise.
        DataSetError: the data set is missing or has other classes or sizes than the model.
        MissingExtra: ONNX's packages are not installed.
    """
    if form not in FORMATS:
        raise ModelError(f'no format "{form}"; there are: {", ".join(FORMATS)}')
    if int8_data is not None and form != "onnx":
        raise ModelError(f"int8 goes with the format onnx, not with {form}")
    model = models.load_model(name)
    model = replace(model, metadata=_with_results(model, name))
    if form == "caffe":
        from fer_lmdb.exporting.caffe import write_caffe

        return Exported(write_caffe(model, out))
    if out.exists() and out.samefile(models.resolve_model(name)):
        raise ModelError(f"{out}: this would overwrite the model itself; give --out another name")
    out.parent.mkdir(parents=True, exist_ok=True)
    if form == "safetensors":
        model.half().save(out)
        return Exported([out])
    return _to_onnx(model, out, int8_data)


def _to_onnx(model: Model, out: Path, int8_data: str | Path | None) -> Exported:
    from fer_lmdb.exporting.onnx import write_onnx

    if int8_data is None:
        return Exported([out], write_onnx(model, out))
    from fer_lmdb.exporting.quantization import load_calibration_data, write_int8

    faces = load_calibration_data(model, int8_data)  # before minutes are spent on what cannot be finished
    facts = write_onnx(model, out)
    small = out.with_name(f"{out.stem}-int8{out.suffix}")
    return Exported([out, small], {**facts, "int8": write_int8(out, small, faces)})


def _with_results(model: Model, name: str | Path) -> dict[str, Any]:
    run = RunFolder(Path(name))
    figures = run.read_evaluations() if run.config.is_file() else model.metadata.get("evaluations", [])
    return {**model.metadata, "evaluations": figures}
