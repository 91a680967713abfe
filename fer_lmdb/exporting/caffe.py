"""A model as the files that Caffe and OpenCV 4 read."""

from __future__ import annotations

from pathlib import Path

import prototxt_like as pl
from fer_lmdb.errors import ModelError
from fer_lmdb.models.classifier import Classifier
from fer_lmdb.models.model import Model


def write_caffe(model: Model, folder: Path) -> list[Path]:
    """Write what `caffe.Net("deploy.prototxt", "<name>.caffemodel", caffe.TEST)` reads.

    Layers of our own that do nothing in TEST are left out. The net expects what the TEST phase's transform makes of
    a face (its middle piece minus the mean at the same place); a comment at the top of deploy.prototxt names it.

    Args:
        model: the model.
        folder: where to; made if it is not there.
    Returns:
        deploy.prototxt, the caffemodel and, where the model has a mean, mean.binaryproto.
    Raises:
        ModelError: the net needs more than Caffe has.
    """
    net = Classifier(model).net_unfused
    deploy = pl.strip_extensions(net.proto)
    beyond = pl.extensions(deploy)
    if beyond:
        raise ModelError(
            f"the net {model.name} needs what Caffe does not have: {', '.join(beyond[:5])}; export it as onnx instead"
        )
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / "deploy.prototxt", folder / f"{model.name}.caffemodel"]
    files[0].write_text(_input_comment(model) + pl.to_text(deploy), encoding="utf-8")
    pl.save_weights(pl.Net(deploy, pl.to_proto(net)), files[1])
    if model.mean is not None:
        files.append(folder / "mean.binaryproto")
        pl.write_mean(model.mean, files[2])
    return files


def _input_comment(model: Model) -> str:
    """Say how a face becomes the net's input: that stands in no field of a deploy net."""
    transform = pl.parse_transform(model.transform_prototxt)
    transform.ClearField("mean_file")
    if model.mean is not None:
        transform.mean_file = "mean.binaryproto"
    size = model.preprocessing.size
    lines = [f"Input: a grey face of {size} x {size}, values 0-255, after this TEST transform:"]
    lines += [f"  {line}" for line in pl.to_text(transform).splitlines()] or ["  none"]
    if transform.per_picture_normalization:
        lines.append("per_picture_normalization is no field of Caffe's: bring every face to mean 0 and deviation 1.")
    return "".join(f"# {line}\n" for line in lines)
