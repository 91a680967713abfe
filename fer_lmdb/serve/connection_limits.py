"""Connection limits below HTTP: number of open connections and time limit for a request header.

uvicorn has neither limit: clients that send one byte per minute could hold connections open indefinitely.
"""

from __future__ import annotations

import asyncio
import socket
from functools import partial
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from fer_lmdb.serve.http_errors import ApiError

USER_TIMEOUT_MS = 30_000
_SLOW_HEADER = ApiError("upload_too_slow", "the request header did not arrive in time; the connection is closed")
_TOO_MANY = ApiError("queue_full", "there are too many connections; try again", retry_after=2)


class LimitedProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 protocol with connection limits.

    Args:
        max_connections: Maximum number of open connections.
        header_seconds: Time limit for a request header, from the opening of the connection or from the first byte of
            a later request.
        arguments: Arguments of `H11Protocol`.
        options: Keyword arguments of `H11Protocol`.
    """

    def __init__(self, *arguments: Any, max_connections: int, header_seconds: float, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._max_connections, self._header_seconds = max_connections, header_seconds
        self._header_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Reject the connection if there are too many; start the header timer."""
        super().connection_made(transport)
        _set_user_timeout(transport)
        if len(self.connections) > self._max_connections:
            self._reject(_TOO_MANY)
            return
        self._start_header_timer()

    def data_received(self, data: bytes) -> None:
        """Pass data on; stop the header timer when a request is complete enough to be handled."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_header_timer()
        elif self._header_timer is None:
            self._start_header_timer()

    def on_response_complete(self) -> None:
        """Stop the header timer before the next request."""
        self._stop_header_timer()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the header timer."""
        self._stop_header_timer()
        super().connection_lost(exc)

    def _start_header_timer(self) -> None:
        self._header_timer = self.loop.call_later(self._header_seconds, self._reject, _SLOW_HEADER)

    def _stop_header_timer(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _reject(self, error: ApiError) -> None:
        self.transport.write(_response_bytes(error))
        self.transport.close()


def make_protocol(max_connections: int, header_seconds: float) -> Any:
    """Return a factory of `LimitedProtocol`, which uvicorn accepts in place of a class."""
    return partial(LimitedProtocol, max_connections=max_connections, header_seconds=header_seconds)


def _set_user_timeout(transport: Any) -> None:
    """Let the kernel close connections whose client does not read its response."""
    connection = transport.get_extra_info("socket")
    if connection is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)


def _response_bytes(error: ApiError) -> bytes:
    """Return a complete HTTP response, for connections without a parsed request."""
    body = error.to_bytes()
    headers = {"content-type": "application/json", "content-length": str(len(body)), **error.headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return (
        f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}\r\n{lines}connection: close\r\n\r\n".encode() + body
    )
