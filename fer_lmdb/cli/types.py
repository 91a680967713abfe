"""Click types: values that the shell can complete (models, nets, data sets, runs, detectors), devices and plots.

This module does not import PyTorch, so that completion stays fast.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from fer_lmdb import ranges
from fer_lmdb.cli.numbers import number
from fer_lmdb.data.split_ratio import SplitRatio
from fer_lmdb.errors import DeviceError, OptionError, SourceError
from fer_lmdb.io.file_names import check_plot_suffix
from fer_lmdb.labels import SCHEMES, read_labels
from fer_lmdb.runtime.device import check_device_name

RUNS = Path("runs")
DATA = Path("data")
A_PATH = click.Path(path_type=Path)


class Completed(click.ParamType):
    """A string completed from a list of common values, or as a file name if no value matches.

    Args:
        name: Placeholder in the help.
        values: Returns the common values.
    """

    def __init__(self, name: str, values: Callable[[], Iterable[str]]) -> None:
        self.name = name
        self._values = values

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the value unchanged; the command checks whether it exists."""
        return value if isinstance(value, Path) else str(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the values that start with the typed text."""
        matching = [value for value in self._values() if value.startswith(incomplete)]
        return [CompletionItem(value) for value in matching] or [CompletionItem(incomplete, type="file")]


class IntChoice(click.ParamType):
    """One of several integers."""

    name = "integer"

    def __init__(self, choices: Sequence[int]) -> None:
        self.choices = tuple(choices)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the integer; fail if it is not one of the choices."""
        if str(value) not in map(str, self.choices):
            self.fail(f"{value!r} is not one of {', '.join(map(str, self.choices))}.", param, ctx)
        return int(value)

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """Return the choices in brackets, as for `click.Choice`."""
        return f"[{'|'.join(map(str, self.choices))}]"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the choices that start with the typed text."""
        return [CompletionItem(str(choice)) for choice in self.choices if str(choice).startswith(incomplete)]


class Device(Completed):
    """Name of a torch device."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name; fail if no device can have it."""
        try:
            return check_device_name(value)
        except DeviceError as error:
            self.fail(str(error), param, ctx)


class PlotFile(click.Path):
    """File of a plot, or a folder: an ending that cannot be written is wrong usage."""

    def __init__(self, *, folder: bool = False) -> None:
        super().__init__(path_type=Path, dir_okay=folder)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path; fail if no plot can have its ending."""
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        try:
            check_plot_suffix(path, or_folder=self.dir_okay)
        except OptionError as error:
            self.fail(str(error), param, ctx)
        return path


class Labels(click.ParamType):
    """Class names separated by commas, a file with one name per line, or a scheme; the command reads them."""

    name = "labels"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the value unchanged; fail if it does not contain class names."""
        if str(value) in SCHEMES:
            return str(value)
        try:
            read_labels(str(value))
        except SourceError as error:
            self.fail(str(error), param, ctx)
        return str(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return files."""
        return [CompletionItem(incomplete, type="file")]


class Ratio(click.ParamType):
    """Sizes of train, val and test, e.g. 80/10/10; checked here and parsed by the command."""

    name = "ratio"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the value unchanged; fail if it is not a ratio."""
        try:
            SplitRatio.parse(str(value))
        except OptionError as error:
            self.fail(str(error), param, ctx)
        return str(value)


def model_names() -> list[str]:
    """Return the pretrained models and the runs that contain a model."""
    return _stems(_package_folder("fer_lmdb") / "models" / "pretrained", "*.safetensors") + _parents(
        RUNS, "*/best.safetensors"
    )


def net_names() -> list[str]:
    """Return the names of the zoo's nets."""
    return [Path(net).name for net in _parents(_package_folder("prototxt_like") / "zoo", "*/train_val.prototxt")]


def run_names() -> list[str]:
    """Return the names of the runs below runs/."""
    return [Path(run).name for run in _parents(RUNS, "*/run.json")]


def data_sets() -> list[str]:
    """Return the data sets below data/."""
    return _parents(DATA, "*/manifest.json")


def detector_names() -> list[str]:
    """Return the names of the face detectors, and "none"."""
    from fer_lmdb.faces.detectors.registry import DETECTORS  # imports NumPy, which most completions do not need

    return [*DETECTORS, "none"]


def _package_folder(package: str) -> Path:
    """Return the folder of a package without importing it."""
    spec = find_spec(package)
    return Path(spec.origin).parent if spec and spec.origin else Path(package)


def _stems(folder: Path, pattern: str) -> list[str]:
    return sorted(path.stem for path in folder.glob(pattern))


def _parents(folder: Path, pattern: str) -> list[str]:
    return sorted(path.parent.as_posix() for path in folder.glob(pattern))


MODEL = Completed("model", model_names)
NET = Completed("net", net_names)
RUN = Completed("run", run_names)
DATA_SET = Completed("folder", data_sets)
DETECTOR = Completed("detector", detector_names)
DEVICE = Device("device", lambda: ("auto", "cpu", "cuda"))
SEED = number(ranges.SEED)
