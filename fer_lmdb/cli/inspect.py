"""``fer-lmdb inspect``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from fer_lmdb.cli.command import Command
from fer_lmdb.cli.console import emit, note, out_console
from fer_lmdb.cli.shared_options import force_option, json_option, split_option
from fer_lmdb.cli.types import A_PATH, MODEL

EXAMPLES = """
# describe a data set and verify it
fer-lmdb inspect data/fer2013 --verify
# list the layers of a net and draw its graph
fer-lmdb inspect deploy.prototxt --draw net.svg
# training data and evaluations of a model
fer-lmdb inspect runs/mine/best.safetensors
# faces that occur in more than one split
fer-lmdb inspect data/fer2013 --duplicates
"""


@click.command("inspect", cls=Command, examples=EXAMPLES)
@click.argument("path", type=A_PATH)
@click.option("--verify", is_flag=True, help="Read and check everything; exit with 1 if a problem is found.")
@click.option("--draw", type=A_PATH, metavar="FILE", help="Write an image: .svg of a net, otherwise .png.")
@force_option()
@click.option("--duplicates", is_flag=True, help="Find identical and near-duplicate faces in a data set.")
@click.option("--model", type=MODEL, help="With --duplicates: evaluate on faces with and without a near-duplicate.")
@click.option(
    "--data", type=A_PATH, metavar="DIR", help="With --model: data set with the model's preprocessing.  [default: PATH]"
)
@split_option("With --model: split to evaluate on. Use test once, for the final model.", ("val", "test"))
@json_option
def command(
    path: Path,
    verify: bool,
    draw: Path | None,
    force: bool,
    duplicates: bool,
    model: str | None,
    data: Path | None,
    split: str,
    as_json: bool,
) -> None:
    """Describe PATH: data set, database, mean image, prototxt, caffemodel, model or run.

    PATH can also be the name of a pretrained model or zoo net.
    """
    if ((model or data) and not duplicates) or (data and not model):
        raise click.UsageError("--data requires --model, and --model requires --duplicates")
    from fer_lmdb.inspection.inspect import inspect, resolve_path
    from fer_lmdb.models.artifact_kind import artifact_kind

    if draw is not None:
        from fer_lmdb.inspection.drawing import check_drawing

        check_drawing(artifact_kind(resolve_path(path)), draw)
    document = inspect(path, verify=verify)
    if draw is not None:
        from fer_lmdb.inspection.drawing import save_drawing

        save_drawing(document["kind"], resolve_path(path), draw, force=force)
        note(f"Image: {draw}")
    if duplicates:
        from fer_lmdb.inspection.duplicates import audit

        document["duplicates"] = audit(path, model=model, data=data, split=split)
    if as_json:
        emit(document)
    else:
        _show(document)
    if verify and document.get("problems"):
        raise click.exceptions.Exit(1)


def _show(document: dict[str, Any]) -> None:
    from fer_lmdb.cli.render_inspection import show, show_problems

    console = out_console()
    show(document, console)
    if "duplicates" in document:
        from fer_lmdb.cli.render_duplicates import show_duplicates

        show_duplicates(document["duplicates"], console)
    show_problems(document, console)
