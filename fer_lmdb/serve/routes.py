"""Allow list of routes.

Gradio registers about eighty routes. Some write uploads to disk, serve files, fetch other addresses or call functions
by name. Only the routes listed here exist; all others get 404.
"""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fer_lmdb.serve.http_errors import ApiError
from fer_lmdb.serve.uploads import MULTIPART_OVERHEAD, UploadReader

API_PATHS = ("/v1/", "/healthz", "/docs", "/openapi.json", "/static-offline-docs/", "/example.png")
JOIN = "/gradio_api/queue/join"
GET_PATHS = frozenset(
    {"/", "/config", "/theme.css", "/favicon.ico", "/manifest.json", "/robots.txt"}
    | {"/gradio_api/" + name for name in ("queue/data", "info", "startup-events", "app_id", "theme.css")}
)
GET_PREFIXES = ("/assets/", "/static/", "/gradio_api/heartbeat/")


class Router:
    """ASGI application that dispatches to the API and the web page, and limits what the page sends.

    Args:
        api: Application of the HTTP API.
        ui: Application of the web page.
        uploads: Reader for the images that the page sends.
        max_bytes: Maximum size of an image in bytes.
    """

    def __init__(self, api: ASGIApp, ui: ASGIApp, uploads: UploadReader, max_bytes: int) -> None:
        self._api, self._ui, self._uploads = api, ui, uploads
        self._max_event_bytes = max_bytes * 4 // 3 + MULTIPART_OVERHEAD  # the page sends base64

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Dispatch a request.

        Raises:
            ApiError: If the route is not on the allow list (not_found).
        """
        if scope["type"] != "http":
            await self._ui(scope, receive, send)
        elif scope["path"].startswith(API_PATHS):
            await self._api(scope, receive, send)
        elif scope["method"] == "POST" and scope["path"] == JOIN:
            await self._join(scope, receive, send)
        elif scope["method"] in {"GET", "HEAD"} and _is_ui_path(scope["path"]):
            await self._ui(scope, receive, send)
        else:
            raise ApiError("not_found", "this address does not exist; see /docs for the available ones")

    async def _join(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._uploads.read(Request(scope, receive), self._max_event_bytes) as body:
            _check_event(body)
            await self._ui(scope, replay_body(body, receive), send)


def _is_ui_path(path: str) -> bool:
    return path in GET_PATHS or path.startswith(GET_PREFIXES)


def _check_event(body: bytes) -> None:
    """Reject events that the page does not send, before Gradio parses them."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    valid = isinstance(document, dict) and isinstance(document.get("data"), list) and _is_plain_text(document["data"])
    if not valid or not isinstance(document.get("session_hash"), str):
        raise ApiError("wrong_request", "this address is reserved for the web page; use /v1/predict")


def _is_plain_text(values: list[Any]) -> bool:
    """Return whether all inputs of an event are plain text, such as a model's name, and not files or addresses."""
    return all(value is None or isinstance(value, str) for value in values)


def replay_body(body: bytes, receive: Receive) -> Receive:
    """Return a receive callable that yields a body that was already read, followed by later messages."""
    pending = [body]

    async def receive_again() -> Message:
        if pending:
            return {"type": "http.request", "body": pending.pop(), "more_body": False}
        return await receive()

    return receive_again
