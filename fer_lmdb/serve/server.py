"""Put the parts together and listen."""

from __future__ import annotations

import importlib
import logging
import os
import signal
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
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
    """Serve until the process is told to end.

    Args:
        settings: what to serve and the limits.
        started: called with the address as soon as pictures are taken.

    Raises:
        ServeError: the port is taken or the address is not this machine's.
        ModelError, DetectorError: a model cannot be loaded.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    with bind(settings.host, settings.port) as listener, isolated_gradio():
        address = address_of(listener)
        pool = WorkerPool(settings)
        try:
            pool.start_workers(meanwhile=_import_gradio)
            server = _Server(_config(settings, build_app(settings, pool, address)), lambda: started(address))
            server.run(sockets=[listener])
        finally:
            pool.kill()


def _import_gradio() -> None:
    """Gradio takes as long to import as a worker takes to start: both at once."""
    importlib.import_module("fer_lmdb.serve.ui")


def _interrupt(*_: Any) -> None:
    """Let SIGTERM do what Ctrl-C does: end the workers, remove the folder, go."""
    raise KeyboardInterrupt


def build_app(settings: ServerSettings, pool: WorkerPool, address: str) -> ASGIApp:
    """Return the whole service as one ASGI application; the pool is opened and closed with it."""
    from fer_lmdb.serve.ui import mount_ui

    bodies = UploadReader(settings.max_bytes, settings.held_bytes, settings.upload_seconds)
    api = build_api(settings, pool, bodies)
    _add_example(api)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        pool.open()
        yield
        await pool.close()

    page = mount_ui(FastAPI(lifespan=lifespan, openapi_url=None), settings, pool, address)
    return SecurityMiddleware(Router(api, page, bodies, settings.max_bytes), settings.allowed_hosts)


@contextmanager
def bind(host: str, port: int) -> Iterator[socket.socket]:
    """Take the port before anything slow is done.

    Raises:
        ServeError: it is taken, or the address is not this machine's.
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


def address_of(listener: socket.socket) -> str:
    """Return the address that a browser on this machine opens."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextmanager
def isolated_gradio() -> Iterator[None]:
    """Keep Gradio from asking the network anything, and give it an empty folder that is gone afterwards.

    Gradio reads these variables when it is imported. The routes that would fill the folder are closed (page_routes);
    a folder of our own makes sure that other Gradio programs' leftovers cannot be reached either.
    """
    with tempfile.TemporaryDirectory(prefix="fer-lmdb-serve-") as folder:
        os.environ |= {
            "GRADIO_ANALYTICS_ENABLED": "False",
            "GRADIO_TEMP_DIR": folder,
            "GRADIO_RUN_HISTORY": "False",
            "HF_HUB_OFFLINE": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }
        with silenced(modules=r"(gradio|starlette|fastapi|pydantic|websockets)\b.*"):
            yield


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
    """A server that says when it listens."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._tell = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.should_exit:
            self._tell()


def _add_example(app: FastAPI) -> None:
    """Serve the example: NASA's portrait of Eileen Collins, which scikit-image carries (public domain)."""
    encoded: list[bytes] = []

    @app.get("/example.png", include_in_schema=False)
    def example() -> Response:
        if not encoded:
            from PIL import Image
            from skimage import data

            stream = BytesIO()
            Image.fromarray(data.astronaut()).save(stream, "PNG")
            encoded.append(stream.getvalue())
        return Response(encoded[0], media_type="image/png")


def log_to_stderr(quiet: bool) -> None:
    """Write one line a request to stderr, or only what goes wrong."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    log = logging.getLogger("fer_lmdb.serve")
    log.addHandler(handler)
    log.setLevel(logging.WARNING if quiet else logging.INFO)
    log.propagate = False
