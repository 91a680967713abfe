"""Run a script that imports ``caffe``, with this package in its place."""

from __future__ import annotations

import importlib
import runpy
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from prototxt_like.errors import FileError
from prototxt_like.tools.flags import Command, UsageError

COMMAND = Command("SCRIPT [ARGUMENTS]", "Run a Python script that imports caffe; the package stands for it.")

_MODULES = ("", ".io", ".net_spec", ".classifier", ".proto", ".proto.caffe_pb2")


def main(arguments: Sequence[str]) -> int:
    """Run the script as ``__main__`` with its arguments, and return its exit code.

    Raises:
        UsageError: If no script is given.
        FileError: If it does not exist.
    """
    if not arguments or arguments[0].startswith("-"):
        raise UsageError(f"no script: found {' '.join(arguments) or 'nothing'}, expected: {COMMAND.usage}")
    script = Path(arguments[0])
    if not script.is_file():
        raise FileError(f"{script}: no such script")
    with registered_as_caffe(), _as_main(script, arguments):
        runpy.run_path(str(script), run_name="__main__")
    return 0


@contextmanager
def registered_as_caffe() -> Iterator[None]:
    """Context manager in which ``import caffe`` imports ``prototxt_like.pycaffe``."""
    before = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "caffe"}
    for name in before:
        del sys.modules[name]
    for suffix in _MODULES:
        sys.modules[f"caffe{suffix}"] = importlib.import_module(f"prototxt_like.pycaffe{suffix}")
    sys.modules["caffe.pycaffe"] = sys.modules["caffe"]
    try:
        yield
    finally:
        for name in [name for name in sys.modules if name.split(".")[0] == "caffe"]:
            del sys.modules[name]
        sys.modules.update(before)


@contextmanager
def _as_main(script: Path, arguments: Sequence[str]) -> Iterator[None]:
    """Context manager that sets the arguments and the first import folder as ``python script.py`` does."""
    argv, path = sys.argv, list(sys.path)
    sys.argv = list(arguments)
    sys.path.insert(0, str(script.resolve().parent))
    try:
        yield
    finally:
        sys.argv, sys.path[:] = argv, path
