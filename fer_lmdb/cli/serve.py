"""``fer-lmdb serve``."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

import click

from fer_lmdb.cli.command import Command
from fer_lmdb.cli.console import emit, note, print_next_step
from fer_lmdb.cli.types import DETECTOR, DEVICE, MODEL
from fer_lmdb.cli.verbosity import is_quiet
from fer_lmdb.errors import MissingExtra

if TYPE_CHECKING:
    from fer_lmdb.serve.settings import ServerSettings

EXAMPLES = """
# the page on http://127.0.0.1:8000/, for this machine alone
fer-lmdb serve
# the same for programs
curl -F file=@photo.jpg http://127.0.0.1:8000/v1/predict
# two models to choose from, on a free port, without a line per request
fer-lmdb serve --model fer_mini --model runs/mine --port 0 --quiet
"""
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@click.command("serve", cls=Command, examples=EXAMPLES)
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 takes a free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 lets others in.")
@click.option("--allow-host", multiple=True, metavar="NAME", help="A name under which the service is reached.")
@click.option("--model", "models", type=MODEL, multiple=True, help="Model to offer; give several to choose from.")
@click.option("--detector", type=DETECTOR, help="Face detector.  [default: the model's]")
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes that recognise.")
@click.option("--queue", type=click.IntRange(1, 10_000), default=16, show_default=True, help="Pictures that may wait.")
@click.option("--per-client", type=click.IntRange(1), default=4, show_default=True, help="Pictures of one address.")
@click.option("--max-mb", type=click.FloatRange(0.01, 100), default=10, show_default=True, help="Largest file.")
@click.option(
    "--max-megapixels", type=click.FloatRange(0.01, 100), default=25, show_default=True, help="Largest picture."
)
@click.option("--seconds", type=click.FloatRange(0.1), default=20, show_default=True, help="Most for one picture.")
@click.option("--device", type=DEVICE, default="auto", show_default=True, help="auto, cpu, cuda, ...")
@click.option("--json", "as_json", is_flag=True, help="Print the address as one JSON document on stdout.")
def command(as_json: bool, **options: Any) -> None:
    """Serve a web page and an HTTP API until Ctrl-C.

    The page takes uploads, pasted pictures and the camera; the API answers what
    predict --json prints. No picture is stored or logged, and nothing is asked
    of the network. Needs the extra "web".
    """
    _check_extra()

    from fer_lmdb.serve.server import log_to_stderr, serve

    settings = _settings(options)
    log_to_stderr(is_quiet())
    if settings.host not in LOOPBACK:
        click.echo(
            "Warning: whoever reaches this machine can use the service; it asks for no password and has no TLS.",
            err=True,
        )
    note("Loading the models ...")
    try:
        serve(settings, lambda address: _print_address(address, as_json))
    except KeyboardInterrupt:
        note("Stopped.")


def _settings(options: dict[str, Any]) -> ServerSettings:
    from fer_lmdb.serve.settings import ServerSettings

    return ServerSettings(
        host=options["host"],
        port=options["port"],
        models=tuple(options["models"]),
        detector=options["detector"],
        device=options["device"],
        workers=options["workers"],
        queue=options["queue"],
        per_client=options["per_client"],
        max_bytes=round(options["max_mb"] * 1e6),
        max_pixels=round(options["max_megapixels"] * 1e6),
        work_seconds=options["seconds"],
        allowed_hosts=options["allow_host"],
    )


def _print_address(address: str, as_json: bool) -> None:
    if as_json:
        emit({"url": address, "api": f"{address}/v1/predict", "docs": f"{address}/docs"}, indent=None)
    else:
        click.echo(f"fer-lmdb serves {address}  (API: {address}/docs; Ctrl-C ends it)")
        print_next_step(f"curl -F file=@photo.jpg {address}/v1/predict")


def _check_extra() -> None:
    needed = ("fastapi", "fastapi_offline", "gradio", "uvicorn")
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingExtra(f"serve needs {', '.join(missing)}; install the extra: pip install 'fer-lmdb[web]'")
