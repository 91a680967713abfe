"""A model in other forms: a half-sized .safetensors, or the files of Caffe."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import prototxt_like as pl
from fer_lmdb import models
from fer_lmdb.errors import ModelError
from fer_lmdb.models import Model
from fer_lmdb.runs import RunFolder

FORMATS = ("safetensors", "caffe")


def export(name: str | Path, form: str, out: Path) -> list[Path]:
    """Write a model in another form.

    Args:
        name: shipped name, model file or run folder.
        form: "safetensors": large blobs in half precision, with the figures that were measured on the run;
            "caffe": deploy.prototxt, a caffemodel and mean.binaryproto in the folder `out`.
        out: the file or folder to write.
    Returns:
        the files written.
    Raises:
        ModelError: no such model or form.
    """
    if form not in FORMATS:
        raise ModelError(f'no format "{form}"; there are: {", ".join(FORMATS)}')
    model = models.load(name)
    if form == "safetensors":
        out.parent.mkdir(parents=True, exist_ok=True)
        replace(model.halved(), facts=_with_figures(model, name)).save(out)
        return [out]
    return _to_caffe(model, out)


def _with_figures(model: Model, name: str | Path) -> dict[str, Any]:
    run = RunFolder(Path(name))
    figures = run.read_figures() if run.config.is_file() else model.facts.get("figures", [])
    return {**model.facts, "figures": figures}


def _to_caffe(model: Model, folder: Path) -> list[Path]:
    """Write what `caffe.Net("deploy.prototxt", "<name>.caffemodel", caffe.TEST)` reads.

    The net expects what the TEST phase's transform makes: the face's middle piece minus the mean at the same place.
    """
    folder.mkdir(parents=True, exist_ok=True)
    net = model.classifier().net
    files = [folder / "deploy.prototxt", folder / f"{model.name}.caffemodel"]
    files[0].write_text(model.net_text, encoding="utf-8")
    pl.save_weights(net, files[1])
    if model.mean is not None:
        files.append(folder / "mean.binaryproto")
        pl.write_mean(model.mean, files[2])
    return files
