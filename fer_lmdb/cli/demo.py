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

from fer_lmdb import ranges
from fer_lmdb.cli import verbosity
from fer_lmdb.cli.command import Command
from fer_lmdb.cli.console import emit, print_next_step
from fer_lmdb.cli.numbers import number
from fer_lmdb.cli.shared_options import json_option
from fer_lmdb.cli.types import SEED

if TYPE_CHECKING:
    from fer_lmdb.cli.demo_steps import Demo


EXAMPLES = """
# in ./demo, 40 seconds on two idle cores
fer-lmdb demo
# elsewhere, and shorter
fer-lmdb demo --out elsewhere --epochs 3
"""


@click.command("demo", cls=Command, examples=EXAMPLES)
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default="demo", show_default=True, help="Output folder."
)
@click.option("--epochs", type=number(ranges.COUNT), default=12, show_default=True, help="Number of training epochs.")
@click.option("--seed", type=SEED, default=0, show_default=True, help="Seed of the synthetic faces and of training.")
@json_option
def command(out: Path, epochs: int, seed: int, as_json: bool) -> None:
    """Run the whole pipeline on synthetic faces, in about a minute.

    Draws schematic faces, builds a data set, trains FaceEmotionNet, evaluates it,
    and recognizes the expression in a photograph with a pretrained model. Nothing
    is downloaded. Each command is printed before it runs.
    """
    from fer_lmdb.cli.demo_steps import Demo

    demo = Demo(out, epochs, seed)
    run = _run_for_json if as_json else _print_and_run
    started = time.monotonic()
    results = _run_steps(demo, run)
    seconds = round(time.monotonic() - started, 1)
    if as_json:
        files = {"annotated": str(demo.annotated), "curves": str(demo.curves)}
        emit({"folder": str(out), "seconds": seconds, **results, **files})
    else:
        _print_summary(demo, seconds)


def _run_steps(demo: Demo, run: Callable[[list[str]], Any]) -> dict[str, Any]:
    """Run the five steps and return the JSON results of the commands."""
    demo.prepare_folder()
    _print_step("Synthetic faces from facial action units, in FER2013's csv layout")
    demo.draw_faces()
    _print_step("Build: detect faces with MTCNN, align them, write LMDBs and the mean image")
    built = run(demo.build())
    _print_step("Train FaceEmotionNet; net and recipe are prototxt files")
    trained = run(demo.train())
    _print_step("Evaluate on the test split")
    evaluated = run(demo.evaluate())
    demo.draw_curves()
    _print_step("Recognize the expression in a photograph")
    demo.write_photograph()
    predicted = run(demo.predict())
    return {"build": built, "train": trained, "evaluate": evaluated, "predict": predicted}


def _print_and_run(arguments: list[str]) -> None:
    from fer_lmdb.cli import cli

    click.secho(f"$ fer-lmdb {shlex.join(arguments)}", bold=True)
    cli.main([*verbosity.flags(), *arguments], prog_name="fer-lmdb", standalone_mode=False)


def _run_for_json(arguments: list[str]) -> Any:
    from fer_lmdb.cli import cli

    with redirect_stdout(io.StringIO()) as printed:
        cli.main([*verbosity.flags(), *arguments, "--json"], prog_name="fer-lmdb", standalone_mode=False)
    return json.loads(printed.getvalue())


def _print_step(text: str) -> None:
    click.secho(f"\n{text}", err=True, fg="cyan")


def _print_summary(demo: Demo, seconds: float) -> None:
    click.echo(f"\nDone in {seconds:.0f} s. Results: {demo.annotated}, {demo.curves} and {demo.sheet}.")
    click.echo(
        "Synthetic faces only exercise the pipeline; the trained model does not work on real ones. With FER2013:\n"
    )
    for line in (
        "fer-lmdb build fer2013.csv",
        "fer-lmdb train --epochs 150",
        "fer-lmdb evaluate runs/face_emotion_net-001",
        "fer-lmdb predict photo.jpg --save annotated.png",
    ):
        click.echo(f"    {line}")
    print_next_step("fer-lmdb predict YOUR-PHOTO.jpg --save annotated.png")
