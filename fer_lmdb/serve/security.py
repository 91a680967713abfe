"""What every request passes: who is asked, from which page, and what the answer must carry.

A server on loopback can be reached by any web page that its user visits. Two checks keep those out: the Host header
(against names that somebody else points at this address, "DNS rebinding") and the Origin header (against requests
that another site's page sends).
"""

from __future__ import annotations

import ipaddress
import logging
import socket
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fer_lmdb.serve.http_errors import ApiError, send_error

log = logging.getLogger("fer_lmdb.serve")

SECURITY_HEADERS = {
    "content-security-policy": (
        # Gradio's page holds inline scripts and compiles its templates, hence the two "unsafe" words; what counts is
        # that nothing can be loaded from, or sent to, anywhere else.
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self' data:; connect-src 'self'; "
        "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
IMMUTABLE = ("/assets/", "/static/", "/static-offline-docs/")


class SecurityMiddleware:
    """ASGI middleware around the whole service.

    Args:
        app: what it guards.
        allowed_hosts: names under which the service may be called, besides localhost and plain addresses.
    """

    def __init__(self, app: ASGIApp, allowed_hosts: tuple[str, ...] = ()) -> None:
        self._app = app
        names = {"localhost", socket.gethostname(), *allowed_hosts}
        self._names = frozenset(name.lower().rstrip(".") for name in names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check the request, pass it on, complete and log the answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _ResponseWriter(send, scope["path"])
        try:
            self._check(scope)
            await self._app(scope, receive, answer.send)
        except ApiError as refusal:
            await answer.reject(refusal)
        except ClientDisconnect:
            answer.status = 499
        except Exception as error:  # nobody sees a traceback, and the log shows no more than the kind of error
            log.error("%s in %s %s", type(error).__name__, scope["method"], scope["path"][:80])
            await answer.reject(ApiError("internal_error", "the service made a mistake; the picture was not kept"))
        finally:
            answer.log(scope)

    def _check(self, scope: Scope) -> None:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get(b"host", "")
        if not self.is_allowed_host(host):
            raise ApiError(
                "unknown_host",
                f"the service is not called {_host_name(host)[:80]!r}; use its address, localhost, or start it with "
                "--allow-host",
            )
        origin = headers.get(b"origin")
        foreign = origin is not None and urlsplit(origin).netloc.lower() != host.lower()
        if foreign or (scope["method"] == "POST" and headers.get(b"sec-fetch-site") == "cross-site"):
            raise ApiError("forbidden_origin", "pages of other sites may not use this service")

    def is_allowed_host(self, host: str) -> bool:
        """Whether a Host header names this service: a plain address (no name can be pointed at it) or a known name."""
        name = _host_name(host)
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return name in self._names
        return True


class _ResponseWriter:
    """The answer on its way out: adds headers, remembers the status, and knows whether it has begun."""

    def __init__(self, send: Send, path: str) -> None:
        self._send, self._path = send, path
        self._started = monotonic()
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message = {**message, "headers": [*_kept(message["headers"]), *self._added(message["headers"])]}
        await self._send(message)

    async def reject(self, error: ApiError) -> None:
        if not self.status:
            await send_error(self.send, error, close=True)

    def log(self, scope: Scope) -> None:
        """Write one line: no address, no query, no file name, nothing of the picture."""
        took = 1000 * (monotonic() - self._started)
        path = "".join(letter if letter.isprintable() else "?" for letter in scope["path"][:80])
        log.info("%s %s %d %.0f ms", scope["method"], path, self.status, took)

    def _added(self, headers: Any) -> list[tuple[bytes, bytes]]:
        present = {name.lower() for name, _ in headers}
        cache = "max-age=3600" if self._path.startswith(IMMUTABLE) else "no-store"
        wanted = {**SECURITY_HEADERS, "cache-control": cache}
        return [(name.encode(), value.encode()) for name, value in wanted.items() if name.encode() not in present]


def _kept(headers: Any) -> list[tuple[bytes, bytes]]:
    """Drop what would let other sites read answers, should a part of the service ever set it."""
    return [(name, value) for name, value in headers if not name.lower().startswith(b"access-control-")]


def _host_name(host: str) -> str:
    """Return a Host header without its port, in lower case."""
    if host.startswith("["):
        return host.partition("]")[0].lower() + "]"
    return host.partition(":")[0].lower().rstrip(".")
