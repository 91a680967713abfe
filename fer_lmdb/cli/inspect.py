"""fer-lmdb inspect: what a file or folder holds, and whether it is unharmed."""

from __future__ import annotations

from pathlib import Path

import click

from fer_lmdb.cli.output import emit, json_option, out_console

A_PATH = click.Path(path_type=Path)


@click.command("inspect")
@click.argument("path", type=A_PATH)
@click.option("--verify", is_flag=True, help="Check it from end to end; exit with 1 where something is wrong.")
@click.option("--draw", type=A_PATH, metavar="FILE", help="Write a picture: .svg of a net, .png of anything else.")
@click.option("--duplicates", is_flag=True, help="Look for identical and near-identical faces in a data set.")
@click.option("--model", metavar="MODEL", help="With --duplicates: accuracy with and without twins; READS TEST.")
@click.option("--data", type=A_PATH, metavar="DIR", help="With --model: the data set that the model was made for.")
@json_option
def command(
    path: Path,
    verify: bool,
    draw: Path | None,
    duplicates: bool,
    model: str | None,
    data: Path | None,
    as_json: bool,
) -> None:
    """Say what PATH holds: data set, database, mean, prototxt, caffemodel, model or run."""
    if ((model or data) and not duplicates) or (data and not model):
        raise click.UsageError("--data needs --model, and --model needs --duplicates")
    from fer_lmdb.inspect import inspect, kind_of, resolve

    document = inspect(path, verify=verify)
    if draw is not None:
        from fer_lmdb.inspect.drawing import draw as draw_picture

        draw_picture(kind_of(resolve(path)), resolve(path), draw)
        click.echo(f"Drawn: {draw}", err=True)
    if duplicates:
        from fer_lmdb.inspect.duplicates import audit

        document["duplicates"] = audit(path, model=model, data=data)
    if as_json:
        emit(document)
    else:
        from fer_lmdb.cli.facts import show

        show(document, out_console())
    if verify and document.get("problems"):
        raise click.exceptions.Exit(1)
