"""Export a model as files for Caffe and OpenCV 4."""

from __future__ import annotations

from pathlib import Path

import prototxt_like as pl
from fer_lmdb.errors import ModelError
from fer_lmdb.io.atomic import atomic_write_text
from fer_lmdb.io.file_names import slug
from fer_lmdb.models.classifier import Classifier
from fer_lmdb.models.model import Model


def write_caffe(model: Model, folder: Path) -> list[Path]:
    """Write files for `caffe.Net("deploy.prototxt", "<name>.caffemodel", caffe.TEST)`, the name as a slug.

    Extension layers without effect in TEST are removed. The input of the net is a face after the TEST transform (e.g.
    the center crop minus the mean at the same position), which a comment at the top of deploy.prototxt describes.

    Args:
        model: Model to export.
        folder: Output folder; created if it does not exist.

    Returns:
        Paths of deploy.prototxt, the caffemodel, named by a slug of the model's name, and mean.binaryproto if the model
        has a mean image.

    Raises:
        ModelError: If the net uses other extensions to Caffe.
    """
    net = Classifier(model).net_unfused
    deploy = pl.strip_extensions(net.proto)
    if extensions := pl.extensions(deploy):
        raise ModelError(
            f"the net {model.name} uses extensions that Caffe does not support: {', '.join(extensions[:5])}; export it "
            "as onnx instead"
        )
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / "deploy.prototxt", folder / f"{slug(model.name, default='model')}.caffemodel"]
    atomic_write_text(files[0], _input_comment(model) + pl.to_text(deploy))
    pl.save_weights(pl.Net(deploy, pl.to_proto(net)), files[1])
    if model.mean is not None:
        files.append(folder / "mean.binaryproto")
        pl.write_mean(model.mean, files[2])
    return files


def _input_comment(model: Model) -> str:
    """Return a comment on the preprocessing of a face, for which a deploy net has no field."""
    transform = pl.parse_transform(model.transform_prototxt)
    transform.ClearField("mean_file")
    if model.mean is not None:
        transform.mean_file = "mean.binaryproto"
    size = model.preprocessing.size
    order = model.preprocessing.channel_order
    color = "gray" if order == "gray" else f"{order.upper()} color"
    lines = [f"Input: a {color} face of {size} x {size}, values 0-255, after this TEST transform:"]
    lines += [f"  {line}" for line in pl.to_text(transform).splitlines()] or ["  none"]
    if transform.per_picture_normalization:
        lines.append("per_picture_normalization is an extension: scale each face to mean 0 and standard deviation 1.")
    return "".join(f"# {line}\n" for line in lines)
