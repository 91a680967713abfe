"""Which of Gradio's routes may be reached: those that this page needs, and no other.

Gradio brings some eighty, among them ones that take uploads onto the disk, hand out files, fetch other addresses and
call functions by name. What is not named here does not exist.
"""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fer_lmdb.serve.http_errors import ApiError
from fer_lmdb.serve.uploads import ENVELOPE, UploadReader

API_PATHS = ("/v1/", "/healthz", "/docs", "/openapi.json", "/static-offline-docs/", "/example.png")
JOIN = "/gradio_api/queue/join"
GET_PATHS = frozenset(
    {"/", "/config", "/theme.css", "/favicon.ico", "/manifest.json", "/robots.txt"}
    | {"/gradio_api/" + name for name in ("queue/data", "info", "startup-events", "app_id", "theme.css")}
)
GET_PREFIXES = ("/assets/", "/static/", "/gradio_api/heartbeat/")


class Router:
    """ASGI application that leads to the API and to the page's own routes, and bounds what the page sends.

    Args:
        api: the application with the API.
        page: the application with the page.
        bodies: reads the page's pictures within the limits.
        max_bytes: largest picture.
    """

    def __init__(self, api: ASGIApp, page: ASGIApp, bodies: UploadReader, max_bytes: int) -> None:
        self._api, self._page, self._bodies = api, page, bodies
        self._most = max_bytes * 4 // 3 + ENVELOPE  # base64

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or say that there is nothing."""
        if scope["type"] != "http":
            await self._page(scope, receive, send)
        elif scope["path"].startswith(API_PATHS):
            await self._api(scope, receive, send)
        elif scope["method"] == "POST" and scope["path"] == JOIN:
            await self._join(scope, receive, send)
        elif scope["method"] in {"GET", "HEAD"} and _is_of_the_page(scope["path"]):
            await self._page(scope, receive, send)
        else:
            raise ApiError("not_found", "there is nothing at this address; /docs lists what there is")

    async def _join(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._bodies.read(Request(scope, receive), self._most) as body:
            _check_event(body)
            await self._page(scope, replay_body(body, receive), send)


def _is_of_the_page(path: str) -> bool:
    return path in GET_PATHS or path.startswith(GET_PREFIXES)


def _check_event(body: bytes) -> None:
    """Refuse what no browser's page sends, before Gradio stumbles over it."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    good = isinstance(document, dict) and isinstance(document.get("data"), list) and _all_text(document["data"])
    if not good or not isinstance(document.get("session_hash"), str):
        raise ApiError("wrong_request", "this address is for the page alone; programs use /v1/predict")


def _all_text(values: list[Any]) -> bool:
    """Whether an event's inputs are what they must be here: a model's name, never a file or an address to fetch."""
    return all(value is None or isinstance(value, str) for value in values)


def replay_body(body: bytes, receive: Receive) -> Receive:
    """Hand a body that was read already on once more."""
    pending = [body]

    async def replayed() -> Message:
        if pending:
            return {"type": "http.request", "body": pending.pop(), "more_body": False}
        return await receive()

    return replayed
