"""The command line: options, help and what is printed. No logic.

Each command lives in a file of its own, which is imported only when that command
runs, so that ``fer-lmdb --help`` does not wait for PyTorch.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

import click

from fer_lmdb.cli import verbosity
from fer_lmdb.cli.lazy_group import LazyGroup
from fer_lmdb.runtime.malloc import tune_malloc

# In the order in which data flows; the value is the line that `fer-lmdb --help` shows.
COMMANDS = {
    "build": "Turn a csv or folders of faces into an LMDB data set.",
    "join": "Put the faces of several data sets into one.",
    "inspect": "Say what a database, mean, net, model or run holds.",
    "train": "Train a net on a built data set.",
    "evaluate": "Measure models on a split, with N and interval.",
    "report": "Draw a run or a data set: charts, faces, one page.",
    "predict": "Recognise expressions in pictures and videos.",
    "watch": "Recognise expressions live, from a camera or video.",
    "serve": "Show a web page and answer over HTTP.",
    "export": "Write a model as Caffe files or in half precision.",
    "models": "List nets and shipped models with their figures.",
    "demo": "Show the whole pipeline with drawn faces.",
    "completion": "Print the completion script of bash, zsh or fish.",
}

INTERRUPTED = 130


def _print_version(context: click.Context, option: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(verbosity.version_line())
        context.exit()


@click.group(
    cls=LazyGroup,
    summaries=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the versions of this program, Python and PyTorch.",
)
def cli() -> None:
    """Facial-expression recognition the Caffe way: LMDB, mean image, prototxt, on PyTorch.

    \b
    fer-lmdb build fer2013.csv      # faces -> data/fer2013/
    fer-lmdb train --epochs 150     # data/fer2013/ -> runs/NAME/
    fer-lmdb evaluate runs/NAME     # accuracy on the validation split
    fer-lmdb predict photo.jpg      # with the model that comes with the package

    Results go to stdout, progress and hints to stderr. Every command takes --json
    and --help; fer-lmdb COMMAND --help shows examples.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    # OpenMP reads the policy once, when PyTorch is imported. Spinning idle threads make face detection seven times
    # slower while another program uses the processor.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    tune_malloc()
    _print_any_name()
    try:
        code = cli.main(
            args=list(arguments) if arguments is not None else None,
            standalone_mode=False,
            complete_var="_FER_LMDB_COMPLETE",
        )
        sys.exit(code if isinstance(code, int) else 0)
    except click.exceptions.Abort:
        click.echo("Interrupted.", err=True)
        sys.exit(INTERRUPTED)
    except KeyboardInterrupt:
        click.echo("Interrupted.", err=True)
        sys.exit(INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except OSError as error:
        # Nobody hears when the reader of our output (head, less) is gone; a full disk behind stdout is said.
        if not isinstance(error, BrokenPipeError):
            click.echo(f"Error: {error}", err=True)
        sys.exit(1)
    finally:
        _close_stdout()


def _print_any_name() -> None:
    """Show what a terminal cannot (its encoding may be ASCII, a file's name any bytes) as ``\\udce9``, in JSON too."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _close_stdout() -> None:
    """Write what waits; where that fails, keep Python from complaining when it tries again at its end."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
