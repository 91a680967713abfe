"""Types of options and arguments that the shell can complete: models, nets, data sets, runs, detectors.

Nothing here imports PyTorch: a completion must be there at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

RUNS = Path("runs")
DATA = Path("data")
A_PATH = click.Path(path_type=Path)


class Completed(click.ParamType):
    """A text whose usual values the shell completes; where none fits, it completes files.

    Args:
        name: what stands for the value in the help.
        values: gives the usual values.
    """

    def __init__(self, name: str, values: Callable[[], Iterable[str]]) -> None:
        self.name = name
        self._values = values

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the text as it is; whether there is such a thing is the command's to say."""
        return value if isinstance(value, Path) else str(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the values that begin like what was typed."""
        fitting = [value for value in self._values() if value.startswith(incomplete)]
        return [CompletionItem(value) for value in fitting] or [CompletionItem(incomplete, type="file")]


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


def model_names() -> list[str]:
    """Return the shipped models and the runs that have a model."""
    return _stems(_package_folder("fer_lmdb") / "models" / "pretrained", "*.safetensors") + _parents(
        RUNS, "*/best.safetensors"
    )


def net_names() -> list[str]:
    """Return the nets of the zoo."""
    return [Path(net).name for net in _parents(_package_folder("prototxt_like") / "zoo", "*/train_val.prototxt")]


def run_names() -> list[str]:
    """Return the names of the runs below runs/."""
    return [Path(run).name for run in _parents(RUNS, "*/run.json")]


def data_sets() -> list[str]:
    """Return the data sets below data/."""
    return _parents(DATA, "*/manifest.json")


def detector_names() -> list[str]:
    """Return the face detectors, and what stands for no detector."""
    from fer_lmdb.faces.detectors.registry import DETECTORS  # needs NumPy, which most completions can do without

    return [*DETECTORS, "none"]


def _package_folder(package: str) -> Path:
    """Return where a package lies, without importing it."""
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
