"""Middleware for Host and Origin checks, security headers and the request log.

Any web page that a user visits can send requests to a server on loopback. Two checks block them: the Host header
(against DNS rebinding, where a foreign name resolves to this address) and the Origin header (against requests from
pages of other sites).
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
        # Gradio's page contains inline scripts and compiles its templates, so both "unsafe" sources are required.
        # All requests to other origins remain blocked.
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
        app: Application to protect.
        allowed_hosts: Host names accepted in addition to localhost, this machine's name and plain IP addresses.
    """

    def __init__(self, app: ASGIApp, allowed_hosts: tuple[str, ...] = ()) -> None:
        self._app = app
        names = {"localhost", socket.gethostname(), *allowed_hosts}
        self._names = frozenset(name.lower().rstrip(".") for name in names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check a request, forward it, add headers to the response and log it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        response = _ResponseWriter(send, scope["path"])
        try:
            self._check(scope)
            await self._app(scope, receive, response.send)
        except ApiError as error:
            await response.reject(error)
        except ClientDisconnect:
            response.status = 499
        except Exception as error:  # the response contains no traceback, and the log only the type
            log.error("%s in %s %s", type(error).__name__, scope["method"], scope["path"][:80])
            await response.reject(ApiError("internal_error", "internal error; the image was not stored"))
        finally:
            response.log(scope)

    def _check(self, scope: Scope) -> None:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get(b"host", "")
        if not self.is_allowed_host(host):
            raise ApiError(
                "unknown_host",
                f"host {_host_name(host)[:80]!r} is not allowed; use the service's address or localhost, or start it "
                "with --allowed-host",
            )
        origin = headers.get(b"origin")
        cross_origin = origin is not None and urlsplit(origin).netloc.lower() != host.lower()
        if cross_origin or (scope["method"] == "POST" and headers.get(b"sec-fetch-site") == "cross-site"):
            raise ApiError("forbidden_origin", "cross-origin requests are not allowed")

    def is_allowed_host(self, host: str) -> bool:
        """Return whether a Host header is a plain IP address (immune to DNS rebinding) or an allowed name."""
        name = _host_name(host)
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return name in self._names
        return True


class _ResponseWriter:
    """Response of one request: adds headers and records the status.

    Args:
        send: ASGI send callable.
        path: Path of the request.
    """

    def __init__(self, send: Send, path: str) -> None:
        self._send, self._path = send, path
        self._started = monotonic()
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message = {**message, "headers": [*_without_cors(message["headers"]), *self._added(message["headers"])]}
        await self._send(message)

    async def reject(self, error: ApiError) -> None:
        if not self.status:
            await send_error(self.send, error, close=True)

    def log(self, scope: Scope) -> None:
        """Log one line without address, query, file name or image content."""
        milliseconds = 1000 * (monotonic() - self._started)
        path = "".join(letter if letter.isprintable() else "?" for letter in scope["path"][:80])
        log.info("%s %s %d %.0f ms", scope["method"], path, self.status, milliseconds)

    def _added(self, headers: Any) -> list[tuple[bytes, bytes]]:
        present = {name.lower() for name, _ in headers}
        cache = "max-age=3600" if self._path.startswith(IMMUTABLE) else "no-store"
        added = {**SECURITY_HEADERS, "cache-control": cache}
        return [(name.encode(), value.encode()) for name, value in added.items() if name.encode() not in present]


def _without_cors(headers: Any) -> list[tuple[bytes, bytes]]:
    """Remove headers with which a library would let other sites read responses."""
    return [(name, value) for name, value in headers if not name.lower().startswith(b"access-control-")]


def _host_name(host: str) -> str:
    """Return a Host header without its port, in lower case."""
    if host.startswith("["):
        return host.partition("]")[0].lower() + "]"
    return host.partition(":")[0].lower().rstrip(".")
