"""Export a model as files for Caffe and OpenCV 4."""

from __future__ import annotations

import json
from pathlib import Path

import prototxt_like as pl
from fer_lmdb.errors import ModelError
from fer_lmdb.exporting.caffe_readme import readme
from fer_lmdb.exporting.raw_input import with_raw_input
from fer_lmdb.io.atomic import atomic_write_text
from fer_lmdb.io.file_names import slug
from fer_lmdb.io.marks import prototxt_mark
from fer_lmdb.io.outputs import OutputGuard
from fer_lmdb.models.caffe_files import CLASSES_COMMENT, PREPROCESSING_COMMENT
from fer_lmdb.models.classifier import Classifier
from fer_lmdb.models.model import Model


def write_caffe(model: Model, folder: Path, guard: OutputGuard | None = None, *, raw_input: bool = False) -> list[Path]:
    """Write files for `caffe.Net("deploy.prototxt", "<name>.caffemodel", caffe.TEST)`, the name as a slug.

    Extension layers without effect in TEST are removed. The input of the net is a face after the TEST transform (e.g.
    the center crop minus the mean at the same position), which a comment at the top of deploy.prototxt describes.

    Args:
        model: Model to export.
        folder: Output folder; created if it does not exist.
        guard: Guard of the files; None for one that knows no inputs.
        raw_input: Whether the net takes the pixels of a cropped face. Mean and scale are then layers of the net, and a
            README.md has the code that runs it.

    Returns:
        Paths of deploy.prototxt, the caffemodel, named by a slug of the model's name, and mean.binaryproto if the model
        has a mean image, or README.md with `raw_input`.

    Raises:
        ModelError: If the net uses other extensions to Caffe.
        OutputError: If a file would replace something that is not to be replaced.
    """
    model = with_raw_input(model) if raw_input else model
    net = Classifier(model).net_unfused
    deploy = pl.strip_extensions(net.proto)
    if extensions := pl.extensions(deploy):
        raise ModelError(
            f"the net {model.name} uses extensions that Caffe does not support: {', '.join(extensions[:5])}; export it "
            "as onnx instead"
        )
    names = ["deploy.prototxt", f"{slug(model.name, default='model')}.caffemodel"]
    names += ["README.md"] if raw_input else ["mean.binaryproto"] if model.mean is not None else []
    guard = guard or OutputGuard()
    files = [guard.check(folder / name) for name in names]
    folder.mkdir(parents=True, exist_ok=True)
    pl.save_weights(pl.Net(deploy, pl.to_proto(net)), files[1])
    if model.mean is not None:
        pl.write_mean(model.mean, files[2])
    if raw_input:
        atomic_write_text(files[2], readme(model, files[1]))
    # Last, because it has the digests that mark the other files.
    atomic_write_text(files[0], prototxt_mark(files[1:]) + _input_comment(model) + pl.to_text(deploy))
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
    comment = "".join(f"# {line}\n" for line in lines)
    classes = json.dumps(list(model.scheme.classes))
    faces = json.dumps(model.preprocessing.to_dict())
    return f"{comment}{CLASSES_COMMENT}{classes}\n{PREPROCESSING_COMMENT}{faces}\n"
