"""Options for a model in Caffe's files: --caffemodel, and what the files do not contain."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from fer_lmdb import ranges
from fer_lmdb.choices import CHANNEL_ORDERS, TEMPLATES
from fer_lmdb.cli.console import note
from fer_lmdb.cli.numbers import number
from fer_lmdb.cli.shared_options import Decorator, labels_option

_A_FILE = click.Path(path_type=Path)


def input_options(labels: bool = True) -> list[Decorator]:
    """Return the options about a net's input and output.

    Args:
        labels: Whether to declare --labels, which some commands have of their own.
    """
    return [
        *([labels_option("the classes")] if labels else []),
        click.option("--mean", metavar="FILE|VALUES", help="Caffe: binaryproto, or a value per channel: 104,117,123."),
        click.option("--scale", type=float, help="Caffe: factor on the values after the mean.  [default: 1]"),
        click.option("--channel-order", type=click.Choice(CHANNEL_ORDERS), help="Caffe: channels of a face."),
        click.option("--resize", type=number(ranges.STORED_SIZE), help="Caffe: side of a face before the crop."),
        click.option("--crop", type=int, help="Caffe: side of the center crop.  [default: the net's]"),
        click.option("--output", metavar="BLOB", help="Caffe: blob with the scores.  [default: the only output]"),
        click.option("--template", type=click.Choice(TEMPLATES), help="Caffe: positions of eyes, nose and mouth."),
        click.option("--margin", type=number(ranges.MARGIN), help="Caffe: context around a face."),
    ]


def caffe_options(parameter: str, shared: Sequence[str] = (), writes_to: str | None = None) -> Decorator:
    """Declare --caffemodel and the options about Caffe's files.

    The command gets a model file in place of a net that is given with them.

    Args:
        parameter: Parameter of the command with the model or the models.
        shared: Options that the command has of its own and that also apply to the net.
        writes_to: Option with the output of a command that otherwise updates the model itself; required with a net.
    """
    declared = ["mean", "scale", "channel_order", "resize", "crop", "output", "template", "margin"]
    declared += [] if "labels" in shared else ["labels"]

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def run(*args: Any, **values: Any) -> Any:
            caffemodel = values.pop("caffemodel")
            given = {name: values.pop(name) for name in declared}
            if caffemodel is not None or any(value is not None for value in given.values()):
                if writes_to is not None and values[writes_to] is None:
                    raise click.UsageError(f"options about Caffe's files require --{writes_to}: a model file to write")
                given |= {name: values[name] for name in shared if name in ("labels", "detector")}
                values[parameter] = _imported(values[parameter], caffemodel, given)
            return function(*args, **values)

        weights = click.option(
            "--caffemodel", type=_A_FILE, metavar="FILE", help="Caffe: weights; MODEL is a prototxt."
        )
        for declare in reversed([weights, *input_options("labels" not in shared)]):
            run = declare(run)
        return run

    return decorate


def _imported(models: Any, caffemodel: Path | None, given: dict[str, Any]) -> Any:
    """Return the path of a temporary model file, in the form of the parameter: one or several."""
    names = list(models) if isinstance(models, tuple) else [models]
    from fer_lmdb.models.caffe_files import is_caffe_folder

    if len(names) != 1 or (caffemodel is None and not is_caffe_folder(Path(names[0]))):
        raise click.UsageError(
            "options about Caffe's files require one MODEL: a prototxt with --caffemodel, or a folder"
        )
    from fer_lmdb.models.caffe_import import CaffeOptions, read_caffe_model

    result = read_caffe_model(names[0], caffemodel, CaffeOptions(**given))
    for line in result.notes:
        note(f"Note: {line}")
    for line in result.assumptions:
        note(f"Assumed: {line}")
    folder = click.get_current_context().with_resource(tempfile.TemporaryDirectory())
    path = Path(folder) / f"{Path(names[0]).stem}.safetensors"
    result.model.save(path)
    return (str(path),) if isinstance(models, tuple) else str(path)
