"""``fer-lmdb serve``."""

from __future__ import annotations

import importlib.util
from typing import Any

import click

from fer_lmdb import ranges
from fer_lmdb.cli.caffe_options import caffe_options
from fer_lmdb.cli.command import Command
from fer_lmdb.cli.console import emit, note, print_next_step
from fer_lmdb.cli.numbers import number
from fer_lmdb.cli.shared_options import (
    detector_option,
    detector_threshold_option,
    device_option,
    models_option,
)
from fer_lmdb.cli.verbosity import is_quiet
from fer_lmdb.errors import MissingExtra
from fer_lmdb.serve.settings import DEFAULT_PORT, ServerSettings

EXAMPLES = """
# web page on http://127.0.0.1:8000/, for this machine only
fer-lmdb serve
# the HTTP API
curl -F file=@photo.jpg http://127.0.0.1:8000/v1/predict
# two models, a free port, no request log
fer-lmdb serve --model fer_mini --model runs/mine --port 0 --quiet
"""
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@click.command("serve", cls=Command, examples=EXAMPLES)
@click.option(
    "--port", type=number(ranges.PORT), default=DEFAULT_PORT, show_default=True, help="0 selects a free port."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Listening address; 0.0.0.0 for all interfaces.")
@click.option("--allowed-host", multiple=True, metavar="NAME", help="Additional host name of the service. Repeatable.")
@models_option("Model to serve. Repeatable; the first is the default.")
@caffe_options("models", shared=("detector",))
@detector_option()
@detector_threshold_option()
@click.option(
    "--workers", type=number(ranges.PROCESSES), default=1, show_default=True, help="Number of worker processes."
)
@click.option("--queue", type=number(ranges.QUEUE), default=16, show_default=True, help="Maximum queued images.")
@click.option(
    "--per-client",
    type=number(ranges.PER_CLIENT),
    default=4,
    show_default=True,
    help="Maximum pending images per address.",
)
@click.option("--max-mb", type=number(ranges.MEGABYTES), default=10, show_default=True, help="Maximum file size.")
@click.option(
    "--max-megapixels", type=number(ranges.MEGAPIXELS), default=25, show_default=True, help="Maximum image size."
)
@click.option("--seconds", type=number(ranges.TIME_LIMIT), default=20, show_default=True, help="Time limit per image.")
@device_option()
@click.option("--json", "as_json", is_flag=True, help="Print the address as one JSON document on stdout.")
def command(as_json: bool, **options: Any) -> None:
    """Serve a web page and an HTTP API until Ctrl-C.

    The page accepts uploads, pasted images and the camera. The API returns the
    output of predict --json. No image is stored or logged, and nothing is
    loaded from the network. Requires the extra "web".
    """
    _check_extra()

    from fer_lmdb.serve.server import log_to_stderr, serve

    settings = _settings(options)
    log_to_stderr(is_quiet())
    if settings.host not in LOOPBACK:
        click.echo(
            "Warning: the service has no password and no TLS; anyone who can reach this machine can use it.", err=True
        )
    note("Loading the models ...")
    try:
        serve(settings, lambda url: _print_address(url, as_json))
    except KeyboardInterrupt:
        note("Stopped.")


def _settings(options: dict[str, Any]) -> ServerSettings:
    return ServerSettings(
        host=options["host"],
        port=options["port"],
        models=tuple(options["models"]),
        detector=options["detector"],
        detector_threshold=options["detector_threshold"],
        device=options["device"],
        workers=options["workers"],
        queue=options["queue"],
        per_client=options["per_client"],
        max_bytes=round(options["max_mb"] * 1e6),
        max_pixels=round(options["max_megapixels"] * 1e6),
        work_seconds=options["seconds"],
        allowed_hosts=options["allowed_host"],
    )


def _print_address(url: str, as_json: bool) -> None:
    if as_json:
        emit({"url": url, "api": f"{url}/v1/predict", "docs": f"{url}/docs"}, indent=None)
    else:
        click.echo(f"fer-lmdb serves {url}  (API: {url}/docs; stop with Ctrl-C)")
        print_next_step(f"curl -F file=@photo.jpg {url}/v1/predict")


def _check_extra() -> None:
    required = ("fastapi", "fastapi_offline", "gradio", "uvicorn")
    missing = [name for name in required if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingExtra(f"serve requires {', '.join(missing)}; install the extra: pip install 'fer-lmdb[web]'")
