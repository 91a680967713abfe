"""Models from Caffe's files: a deploy prototxt with a caffemodel.

How faces were cut and scaled stands in neither file, so it is given, read from the comment that `export` writes, or
assumed; assumptions are listed.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

import prototxt_like as pl
from fer_lmdb.errors import ModelError
from fer_lmdb.faces.preprocessing import ChannelOrder, Preprocessing
from fer_lmdb.labels import FER2013, LabelScheme, scheme_of
from fer_lmdb.models.caffe_files import CaffeFiles, find_caffe_files, read_export_comment, read_mean_option
from fer_lmdb.models.caffe_output import with_output
from fer_lmdb.models.metadata import ModelMetadata
from fer_lmdb.models.model import Model

AnyPath = str | os.PathLike[str]


@dataclass(frozen=True)
class CaffeOptions:
    """What Caffe's files do not contain; None is read from the files or assumed.

    Attributes:
        labels: Class names in label order, as `read_labels` accepts, or the name of a scheme.
        mean: Path of a binaryproto, or values per channel separated by commas.
        scale: Factor on the values after the mean is subtracted.
        channel_order: "gray", "bgr" or "rgb".
        resize: Side of a face in pixels before the crop.
        crop: Side of the center crop, the input of the net.
        output: Blob with the scores or probabilities.
        detector: Face detector, or "none".
        align: "landmarks" or "box".
        template: "fer2013" or "arcface".
        margin: Context around a face as a fraction of its side.
    """

    labels: str | None = None
    mean: str | None = None
    scale: float | None = None
    channel_order: ChannelOrder | None = None
    resize: int | None = None
    crop: int | None = None
    output: str | None = None
    detector: str | None = None
    align: str | None = None
    template: str | None = None
    margin: float | None = None


@dataclass(frozen=True)
class CaffeImport:
    """Result of an import.

    Attributes:
        model: The model.
        assumptions: What was neither given nor found in the files.
        notes: Layers that are only in one of the files, and other remarks on the net.
    """

    model: Model
    assumptions: list[str]
    notes: list[str]


def read_caffe_model(
    deploy: AnyPath, caffemodel: AnyPath | None = None, options: CaffeOptions | None = None
) -> CaffeImport:
    """Read a model from Caffe's files.

    Args:
        deploy: Folder with one deploy prototxt and one caffemodel, or a deploy prototxt.
        caffemodel: Weights; None for those in the folder.
        options: What the files do not contain.

    Raises:
        ModelError: If the files are missing or ambiguous, or the net is not a classifier of square images.
        FileError, NetError, WeightsError: If the net cannot be read or built, or no layer of the weights fits.
        SourceError: If the class names cannot be read or do not fit the net.
    """
    return _Importer(find_caffe_files(deploy, caffemodel), options or CaffeOptions()).run()


class _Importer:
    """One import: reads the files, and collects assumptions on the way."""

    def __init__(self, files: CaffeFiles, options: CaffeOptions) -> None:
        self.files, self.options = files, options
        self.comment = read_export_comment(files.deploy)
        self.assumptions: list[str] = []

    def run(self) -> CaffeImport:
        net = pl.Net(self.files.deploy, self.files.caffemodel)
        if len(net.inputs) != 1:
            raise ModelError(
                f"{self.files.deploy}: found inputs {', '.join(net.inputs)}, expected one; use the deploy prototxt"
            )
        deploy, classes, added = with_output(net, self.options.output)
        self.assumptions += added
        channels, side = self._input_size(net)
        transform, mean = self._transform(channels, side)
        model = Model(
            name=net.name or self.files.caffemodel.stem,
            deploy_prototxt=pl.to_text(deploy),
            transform_prototxt=pl.to_text(transform),
            weights=self._weights(net, deploy),
            mean=mean,
            scheme=self._scheme(classes),
            preprocessing=self._preprocessing(channels, side, mean),
            metadata=ModelMetadata({"imported": self._record()}),
        )
        return CaffeImport(model, self.assumptions, list(net.notes))

    def _record(self) -> dict[str, object]:
        return {
            "deploy": self.files.deploy.name,
            "caffemodel": self.files.caffemodel.name,
            "assumptions": self.assumptions,
        }

    def _input_size(self, net: pl.Net) -> tuple[int, int]:
        (shape,) = net.input_shapes.values()
        if len(shape) != 4 or shape[2] != shape[3] or shape[1] not in (1, 3):
            found = " x ".join(map(str, shape))
            raise ModelError(f"{self.files.deploy}: found an input of {found}, expected N x 1 or 3 x side x side")
        if self.options.crop not in (None, shape[2]):
            raise ModelError(f"invalid crop: found {self.options.crop}, expected {shape[2]}, the input of the net")
        return shape[1], shape[2]

    def _weights(self, net: pl.Net, deploy: pl.NetParameter) -> dict[str, torch.Tensor]:
        names = [layer.name for layer in net.caffe_layers if layer.blob_names]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise ModelError(f"two layers with weights have the name {repeated[0]}; rename one in both files")
        kept = {layer.name for layer in deploy.layer}
        return {
            f"{name}/{index}": blob.detach().clone()
            for name, blobs in net.params.items()
            if name in kept
            for index, blob in enumerate(blobs)
        }

    def _transform(self, channels: int, side: int) -> tuple[pl.TransformationParameter, np.ndarray | None]:
        transform = pl.TransformationParameter()
        if self.comment is not None:
            transform.CopyFrom(self.comment.transform)
        transform.ClearField("mean_file")
        given = self.options.mean if self.options.mean is not None else self.files.mean
        mean, values = (None, []) if given is None else read_mean_option(str(given), channels)
        if values:
            transform.mean_value[:] = values
        elif given is None and not transform.mean_value and self.comment is None:
            self.assumptions.append("mean: none is subtracted")
        if self.options.scale is not None:
            transform.scale = self.options.scale
        elif self.comment is None:
            self.assumptions.append("scale: values are 0 to 255")
        if self._size(side, mean) != side:
            transform.crop_size = side
        return transform, mean

    def _size(self, side: int, mean: np.ndarray | None) -> int:
        """Return the side of a face before the crop."""
        known = mean.shape[1] if mean is not None else self.comment.size if self.comment is not None else None
        size = self.options.resize or known or side
        if size < side:
            raise ModelError(f"invalid resize: found {size}, expected at least {side}, the input of the net")
        if mean is not None and mean.shape[1:] != (size, size):
            found = " x ".join(map(str, mean.shape[1:]))
            raise ModelError(f"the mean image has {found} pixels, expected {size} x {size}; set --resize to its side")
        return size

    def _scheme(self, classes: int) -> LabelScheme:
        if self.options.labels is not None:
            scheme = scheme_of(self.options.labels)
            if len(scheme) != classes:
                raise ModelError(f"found {len(scheme)} labels, expected {classes}, the outputs of the net")
            return scheme
        if self.comment is not None and self.comment.classes is not None and len(self.comment.classes) == classes:
            return scheme_of_classes(self.comment.classes)
        names = tuple(f"class {index}" for index in range(classes))
        hint = "; seven classes may be those of FER2013: --labels fer2013" if classes == len(FER2013) else ""
        self.assumptions.append(f"labels: {names[0]} to {names[-1]}{hint}")
        return LabelScheme("custom", names)

    def _preprocessing(self, channels: int, side: int, mean: np.ndarray | None) -> Preprocessing:
        stored = None if self.comment is None else self.comment.preprocessing
        base = stored or Preprocessing(channel_order="gray" if channels == 1 else "bgr")
        order = self.options.channel_order or base.channel_order
        if (order == "gray") != (channels == 1):
            raise ModelError(f"invalid channel order: found {order}, but the net has {channels} input channels")
        given = {name: getattr(self.options, name) for name in ("detector", "align", "template", "margin")}
        faces = {name: getattr(base, name) if value is None else value for name, value in given.items()}
        if stored is None:
            if self.options.channel_order is None:
                self.assumptions.append(f"channel order: {order}")
            missing = [f"{name} {faces[name]}" for name, value in given.items() if value is None]
            self.assumptions += [f"faces: {', '.join(missing)}"] if missing else []
        values = base.to_dict() | faces | {"channel_order": order, "size": self._size(side, mean)}
        return Preprocessing.from_dict(values)


def scheme_of_classes(classes: tuple[str, ...]) -> LabelScheme:
    """Return the scheme of class names, a known one if they are its names in its order."""
    return FER2013 if classes == FER2013.classes else LabelScheme("custom", classes)


def import_caffe(
    deploy: AnyPath,
    out: AnyPath,
    *,
    caffemodel: AnyPath | None = None,
    options: CaffeOptions | None = None,
    force: bool = False,
) -> CaffeImport:
    """Write a model file from Caffe's files, so that it keeps its answers.

    Args:
        deploy: Folder with one deploy prototxt and one caffemodel, or a deploy prototxt.
        out: Model file to write (.safetensors).
        caffemodel: Weights; None for those in the folder.
        options: What the files do not contain.
        force: Whether to replace a file that this program did not write.

    Raises:
        ModelError: See `read_caffe_model`.
        OutputError: If `out` would replace something that is not to be replaced.
    """
    from fer_lmdb.io.outputs import check_file

    path = Path(out)
    if path.suffix.lower() != ".safetensors":
        raise ModelError(f'invalid out "{path}": expected a file with the suffix .safetensors')
    files = find_caffe_files(deploy, caffemodel)
    check_file(path, [files.deploy, files.caffemodel], force=force)
    result = read_caffe_model(deploy, caffemodel, options)
    path.parent.mkdir(parents=True, exist_ok=True)
    result.model.save(path)
    return result
