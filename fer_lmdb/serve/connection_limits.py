"""Limits on connections, below HTTP: how many there are, and how long a client may take for a request's head.

uvicorn has no such limits of its own: one that opens connections and sends a byte a minute would hold them for ever.
"""

from __future__ import annotations

import asyncio
import socket
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from fer_lmdb.serve.http_errors import ApiError

STALLED_MILLISECONDS = 30_000
_SLOW = ApiError("upload_too_slow", "the request's head did not arrive in time; the connection is closed")
_BUSY = ApiError("queue_full", "there are too many connections; try again", retry_after=2)


def make_protocol(most: int, header_seconds: float) -> type[asyncio.Protocol]:
    """Return uvicorn's HTTP protocol with limits.

    Args:
        most: open connections.
        header_seconds: from the first moment, or from a following request's first byte, to the end of the head.
    """

    class Limited(H11Protocol):
        _head: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            _end_stalled_readers(transport)
            if len(self.connections) > most:
                self._turn_away(_BUSY)
                return
            self._await_head()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.cycle is not None and not self.cycle.response_complete:
                self._head_is_complete()
            elif self._head is None:
                self._await_head()

        def on_response_complete(self) -> None:
            self._head_is_complete()
            super().on_response_complete()

        def connection_lost(self, exc: Exception | None) -> None:
            self._head_is_complete()
            super().connection_lost(exc)

        def _await_head(self) -> None:
            self._head = self.loop.call_later(header_seconds, self._turn_away, _SLOW)

        def _turn_away(self, refusal: ApiError) -> None:
            self.transport.write(_response(refusal))
            self.transport.close()

        def _head_is_complete(self) -> None:
            if self._head is not None:
                self._head.cancel()
                self._head = None

    return Limited


def _end_stalled_readers(transport: Any) -> None:
    """Let the system end connections whose client does not take its answer."""
    connection = transport.get_extra_info("socket")
    if connection is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, STALLED_MILLISECONDS)


def _response(error: ApiError) -> bytes:
    """Return a whole HTTP answer, for where there is no request yet."""
    body = error.to_bytes()
    headers = {"content-type": "application/json", "content-length": str(len(body)), **error.headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return (
        f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}\r\n{lines}connection: close\r\n\r\n".encode() + body
    )
