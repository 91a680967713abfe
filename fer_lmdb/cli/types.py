"""Click types: values that the shell can complete (models, nets, data sets, runs, detectors), numbers and lists.

This module does not import PyTorch, so that completion stays fast.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from fer_lmdb.errors import SourceError
from fer_lmdb.labels import read_labels

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


class Numbers(tuple[float, ...]):
    """Numbers of a comma-separated list; `str` returns the list as text."""

    def __str__(self) -> str:
        return ",".join(f"{number:g}" for number in self)


class NumberList(click.ParamType):
    """A comma-separated list of numbers, e.g. 2,1,1."""

    name = "numbers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Numbers:
        """Parse the list."""
        if not isinstance(value, str):
            return Numbers(value)
        try:
            return Numbers(float(number) for number in value.split(","))
        except ValueError:
            self.fail(f'found "{value}", expected numbers separated by commas, e.g. 2,1,1', param, ctx)


class Labels(click.ParamType):
    """Class names separated by commas, or a file with one name per line; checked here and read by the command."""

    name = "labels"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the value unchanged; fail if it does not contain class names."""
        try:
            read_labels(str(value))
        except SourceError as error:
            self.fail(str(error), param, ctx)
        return str(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return files."""
        return [CompletionItem(incomplete, type="file")]


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
DEVICE = Completed("device", lambda: ("auto", "cpu", "cuda"))
