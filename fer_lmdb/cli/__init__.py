"""Command line: options, help and output.

Each command has its own module, which is imported only if that command runs, so that ``fer-lmdb --help`` does not
import PyTorch.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

import click

from fer_lmdb.cli import verbosity
from fer_lmdb.cli.lazy_group import LazyGroup
from fer_lmdb.errors import printable
from fer_lmdb.runtime.malloc import tune_malloc
from fer_lmdb.runtime.streams import occupy_closed_streams

COMMANDS = {
    "build": "Build an LMDB data set from a csv or image folders.",
    "join": "Join several data sets.",
    "inspect": "Describe and verify data sets, nets, models and runs.",
    "train": "Train a net on a data set.",
    "calibrate": "Fit a model's probabilities to its accuracy.",
    "evaluate": "Evaluate models on a split, with N and interval.",
    "report": "Report a run or a data set as one HTML page.",
    "predict": "Recognize expressions in images and videos.",
    "watch": "Recognize expressions live, from a camera or video.",
    "serve": "Serve a web page and an HTTP API.",
    "import": "Make a model file from a Caffe net and its weights.",
    "export": "Export a model to Caffe, ONNX or safetensors.",
    "models": "List pretrained models and nets.",
    "demo": "Run the whole pipeline on synthetic faces.",
    "doctor": "Describe this machine and measure its speed.",
    "completion": "Print the completion script of bash, zsh or fish.",
}

"""Commands in the order of the pipeline, with their lines in `fer-lmdb --help`."""

INTERRUPTED = 130


def _print_version(context: click.Context, option: click.Parameter, requested: bool) -> None:
    if requested:
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
    fer-lmdb build fer2013.csv      # images -> data/fer2013/
    fer-lmdb train --epochs 150     # data/fer2013/ -> runs/NAME/
    fer-lmdb evaluate runs/NAME     # accuracy on the validation split
    fer-lmdb predict photo.jpg      # with a pretrained model

    Results go to stdout, progress and hints to stderr. Every command has --json
    and --help; fer-lmdb COMMAND --help shows examples.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    # OpenMP reads the policy once, when PyTorch is imported. Spinning idle threads make face detection seven times
    # slower while another program uses the processor.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    occupy_closed_streams()
    tune_malloc()
    _escape_unprintable()
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
        # A closed pipe (head, less) is not an error; a full disk is.
        if not isinstance(error, BrokenPipeError):
            click.echo(f"Error: {printable(str(error))}", err=True)
        sys.exit(1)
    finally:
        _close_stdout()


def _escape_unprintable() -> None:
    """Escape characters that the terminal's encoding does not have, e.g. as ``\\udce9``, in JSON as well."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _close_stdout() -> None:
    """Flush stdout; if that fails, redirect it to the null device, so that Python does not fail again on exit."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
