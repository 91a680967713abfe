"""Errors of the HTTP API: status, stable error code and message."""

from __future__ import annotations

import json
from typing import Any

from fer_lmdb.errors import FerLmdbError

STATUS = {
    "bad_request": 400,
    "forbidden_origin": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "upload_too_slow": 408,
    "too_large": 413,
    "not_a_picture": 415,
    "unknown_host": 421,
    "damaged_picture": 422,
    "wrong_request": 422,
    "unknown_model": 422,
    "too_many_requests": 429,
    "internal_error": 500,
    "queue_full": 503,
    "waited_too_long": 503,
    "took_too_long": 503,
    "worker_lost": 503,
    "not_ready": 503,
}
"""HTTP status by error code. Codes are the value of `error.code` and are stable across versions."""


class ApiError(FerLmdbError):
    """An error response.

    Args:
        code: Key of `STATUS`.
        message: One sentence: what was found, what was expected, what to do next.
        retry_after: Seconds until a retry may succeed; None if a retry is pointless.
    """

    def __init__(self, code: str, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.retry_after = code, message, retry_after

    @property
    def status(self) -> int:
        """HTTP status."""
        return STATUS[self.code]

    @property
    def headers(self) -> dict[str, str]:
        """Additional response headers."""
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}

    def to_dict(self) -> dict[str, Any]:
        """Return the response body."""
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.retry_after is not None:
            error["retry_after"] = self.retry_after
        return {"error": error}

    def to_bytes(self) -> bytes:
        """Return the response body as JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False).encode()


async def send_error(send: Any, error: ApiError, close: bool = False) -> None:
    """Send an error as an ASGI response.

    Args:
        send: ASGI send callable.
        error: Error to send.
        close: Close the connection afterwards; required if the request body was not read to its end.
    """
    body = error.to_bytes()
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **error.headers}
    if close:
        headers["Connection"] = "close"
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": error.status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
