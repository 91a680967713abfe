"""fer-lmdb inspect: what a file or folder holds, and whether it is unharmed."""

from __future__ import annotations

from pathlib import Path

import click

from fer_lmdb.cli.command import Command
from fer_lmdb.cli.console import emit, json_option, note, out_console
from fer_lmdb.cli.types import A_PATH, MODEL

EXAMPLES = """
# what a data set holds, and whether it is unharmed
fer-lmdb inspect data/fer2013 --verify
# the layers of a net, and a drawing of it
fer-lmdb inspect deploy.prototxt --draw net.svg
# what a model was trained on, and its figures
fer-lmdb inspect runs/mine/best.safetensors
# faces that stand in more than one split
fer-lmdb inspect data/fer2013 --duplicates
"""


@click.command("inspect", cls=Command, examples=EXAMPLES)
@click.argument("path", type=A_PATH)
@click.option("--verify", is_flag=True, help="Check it from end to end; exit with 1 where something is wrong.")
@click.option("--draw", type=A_PATH, metavar="FILE", help="Write a picture: .svg of a net, .png of anything else.")
@click.option("--duplicates", is_flag=True, help="Look for identical and near-identical faces in a data set.")
@click.option("--model", type=MODEL, help="With --duplicates: accuracy on faces with and without a twin.")
@click.option("--data", type=A_PATH, metavar="DIR", help="With --model: the data set that the model was made for.")
@click.option(
    "--split",
    type=click.Choice(["val", "test"]),
    default="val",
    show_default=True,
    help="With --model: whose faces; open test once, for a model that is final.",
)
@json_option
def command(
    path: Path,
    verify: bool,
    draw: Path | None,
    duplicates: bool,
    model: str | None,
    data: Path | None,
    split: str,
    as_json: bool,
) -> None:
    """Say what PATH holds: data set, database, mean, prototxt, caffemodel, model or run."""
    if ((model or data) and not duplicates) or (data and not model):
        raise click.UsageError("--data needs --model, and --model needs --duplicates")
    from fer_lmdb.inspection import artifact_kind, inspect, resolve

    document = inspect(path, verify=verify)
    if draw is not None:
        from fer_lmdb.inspection.drawing import draw as draw_image

        draw_image(artifact_kind(resolve(path)), resolve(path), draw)
        note(f"Drawn: {draw}")
    if duplicates:
        from fer_lmdb.inspection.duplicates import audit

        document["duplicates"] = audit(path, model=model, data=data, split=split)
    if as_json:
        emit(document)
    else:
        from fer_lmdb.cli.render_inspection import show

        show(document, out_console())
    if verify and document.get("problems"):
        raise click.exceptions.Exit(1)
