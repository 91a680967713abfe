"""Assemble the service and listen."""

from __future__ import annotations

import importlib
import logging
import os
import signal
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from io import BytesIO
from typing import Any

import uvicorn
from fastapi import FastAPI
from fastapi.responses import Response
from starlette.types import ASGIApp

from fer_lmdb.errors import ServeError
from fer_lmdb.runtime.logging import silenced
from fer_lmdb.serve.api import build_api
from fer_lmdb.serve.connection_limits import make_protocol
from fer_lmdb.serve.routes import Router
from fer_lmdb.serve.security import SecurityMiddleware
from fer_lmdb.serve.settings import ServerSettings
from fer_lmdb.serve.uploads import UploadReader
from fer_lmdb.serve.worker_pool import WorkerPool

SHUTDOWN_SECONDS = 5


def serve(settings: ServerSettings, started: Callable[[str], None]) -> None:
    """Serve until the process receives SIGINT or SIGTERM.

    Args:
        settings: Address, models and limits.
        started: Called with the URL when the service accepts requests.

    Raises:
        ServeError: If the port is in use or the address does not belong to this machine.
        ModelError, DetectorError: If a model cannot be loaded.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    with bind(settings.host, settings.port) as listener, isolated_gradio():
        url = url_of(listener)
        pool = WorkerPool(settings)
        try:
            pool.start_workers(meanwhile=_import_gradio)
            server = _Server(_config(settings, build_app(settings, pool, url)), lambda: started(url))
            server.run(sockets=[listener])
        finally:
            pool.kill()


def _import_gradio() -> None:
    """Import Gradio while the workers start; both take several seconds."""
    importlib.import_module("fer_lmdb.serve.ui")


def _interrupt(*_: Any) -> None:
    """Handle SIGTERM like Ctrl-C: stop the workers, remove the temporary folder and exit."""
    raise KeyboardInterrupt


def build_app(settings: ServerSettings, pool: WorkerPool, url: str) -> ASGIApp:
    """Return the service as one ASGI application, which opens and closes the pool.

    Args:
        settings: Limits.
        pool: Pool whose workers have been started.
        url: URL of the service, for the example on the page.
    """
    from fer_lmdb.serve.ui import mount_ui

    uploads = UploadReader(settings.max_bytes, settings.held_bytes, settings.upload_seconds)
    api = build_api(settings, pool, uploads)
    _add_example(api)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        pool.open()
        yield
        await pool.close()

    ui = mount_ui(FastAPI(lifespan=lifespan, openapi_url=None), settings, pool, url)
    return SecurityMiddleware(Router(api, ui, uploads, settings.max_bytes), settings.allowed_hosts)


@contextmanager
def bind(host: str, port: int) -> Iterator[socket.socket]:
    """Yield a listening socket; called first, so that a port in use is reported before models are loaded.

    Raises:
        ServeError: If the port is in use or the address does not belong to this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen(512)
        except OSError as error:
            raise ServeError(
                f"cannot listen on {host} port {port}: {error.strerror or error}; choose another --port or --host"
            ) from error
        yield listener


def url_of(listener: socket.socket) -> str:
    """Return the URL for a browser on this machine."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextmanager
def isolated_gradio() -> Iterator[None]:
    """Block network access of Gradio and give it an empty temporary folder; restore the environment afterwards.

    Gradio reads these variables when it is imported. The routes that write to the folder are closed (see routes.py);
    a separate folder makes files of other Gradio programs unreachable as well.
    """
    with tempfile.TemporaryDirectory(prefix="fer-lmdb-serve-") as folder:
        variables = {
            "GRADIO_ANALYTICS_ENABLED": "False",
            "GRADIO_TEMP_DIR": folder,
            "GRADIO_RUN_HISTORY": "False",
            "HF_HUB_OFFLINE": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }
        with _environment(variables), silenced(modules=r"(gradio|starlette|fastapi|pydantic|websockets)\b.*"):
            yield


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Set environment variables inside the block."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _config(settings: ServerSettings, app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=make_protocol(settings.connections, settings.header_seconds),
        ws="none",
        loop="asyncio",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )


class _Server(uvicorn.Server):
    """uvicorn's server with a callback after startup."""

    def __init__(self, config: uvicorn.Config, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.should_exit:
            self._on_started()


def _add_example(app: FastAPI) -> None:
    @app.get("/example.png", include_in_schema=False)
    def example() -> Response:
        return Response(_example_png(), media_type="image/png")


@cache
def _example_png() -> bytes:
    """Return the example image: NASA's portrait of Eileen Collins from scikit-image (public domain)."""
    from PIL import Image
    from skimage import data

    stream = BytesIO()
    Image.fromarray(data.astronaut()).save(stream, "PNG")
    return stream.getvalue()


def log_to_stderr(quiet: bool) -> None:
    """Log one line per request to stderr, or only warnings and errors."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    log = logging.getLogger("fer_lmdb.serve")
    log.addHandler(handler)
    log.setLevel(logging.WARNING if quiet else logging.INFO)
    log.propagate = False
