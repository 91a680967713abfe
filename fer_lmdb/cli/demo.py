"""``fer-lmdb demo``."""

from __future__ import annotations

import io
import json
import shlex
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fer_lmdb.cli import verbosity
from fer_lmdb.cli.command import Command
from fer_lmdb.cli.console import emit, print_next_step
from fer_lmdb.cli.shared_options import json_option

if TYPE_CHECKING:
    from fer_lmdb.cli.walkthrough import Demo


EXAMPLES = """
# in ./demo, 40 seconds on two idle cores
fer-lmdb demo
# elsewhere, and shorter
fer-lmdb demo --out elsewhere --epochs 3
"""


@click.command("demo", cls=Command, examples=EXAMPLES)
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default="demo", show_default=True, help="Folder to fill."
)
@click.option("--epochs", type=click.IntRange(1), default=12, show_default=True, help="Length of the training.")
@click.option("--seed", default=0, show_default=True, help="Decides the drawn faces and the training.")
@json_option
def command(out: Path, epochs: int, seed: int, as_json: bool) -> None:
    """Show the whole pipeline with drawn faces, in about a minute.

    Draws schematic faces, builds a data set from them, trains FaceEmotionNet on
    it, evaluates, and recognises a real photograph with the model that comes with
    the package. Nothing is downloaded. Every command is shown as it is run.
    """
    from fer_lmdb.cli.walkthrough import Demo

    demo = Demo(out, epochs, seed)
    run = _captured if as_json else _shown
    started = time.monotonic()
    figures = _run_steps(demo, run)
    seconds = round(time.monotonic() - started, 1)
    if as_json:
        files = {"annotated": str(demo.annotated), "curves": str(demo.curves)}
        emit({"folder": str(out), "seconds": seconds, **figures, **files})
    else:
        _print_summary(demo, seconds)


def _run_steps(demo: Demo, run: Callable[[list[str]], Any]) -> dict[str, Any]:
    """Run the five steps; return what each command printed as JSON, where it was asked to."""
    _print_step("Faces drawn from facial action units, in FER2013's csv layout")
    demo.prepare_folder()
    demo.draw_faces()
    _print_step("Build: find each face with MTCNN, align it, write LMDBs and their mean image")
    built = run(demo.build())
    _print_step("Train FaceEmotionNet, whose net and recipe are prototxt files")
    trained = run(demo.train())
    _print_step("Evaluate on the test split, which the training has never seen")
    evaluated = run(demo.evaluate())
    demo.draw_curves()
    _print_step("Recognise a real photograph")
    demo.write_photograph()
    predicted = run(demo.predict())
    return {"build": built, "train": trained, "evaluate": evaluated, "predict": predicted}


def _shown(arguments: list[str]) -> None:
    from fer_lmdb.cli import cli

    click.secho(f"$ fer-lmdb {shlex.join(arguments)}", bold=True)
    cli.main([*verbosity.flags(), *arguments], prog_name="fer-lmdb", standalone_mode=False)


def _captured(arguments: list[str]) -> Any:
    from fer_lmdb.cli import cli

    with redirect_stdout(io.StringIO()) as printed:
        cli.main([*verbosity.flags(), *arguments, "--json"], prog_name="fer-lmdb", standalone_mode=False)
    return json.loads(printed.getvalue())


def _print_step(what: str) -> None:
    click.secho(f"\n{what}", err=True, fg="cyan")


def _print_summary(demo: Demo, seconds: float) -> None:
    click.echo(f"\nDone in {seconds:.0f} s. Look at {demo.annotated}, {demo.curves} and {demo.sheet}.")
    click.echo("Drawn faces show that everything works; they teach a net nothing about people. With FER2013's csv:\n")
    for line in (
        "fer-lmdb build fer2013.csv",
        "fer-lmdb train --epochs 150",
        "fer-lmdb evaluate runs/face_emotion_net-001",
        "fer-lmdb predict photo.jpg --save annotated.png",
    ):
        click.echo(f"    {line}")
    print_next_step("fer-lmdb predict YOUR-PHOTO.jpg --save annotated.png")
