"""Read request bodies into memory, with limits on size, time and total memory; nothing is written to disk."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from starlette.requests import Request

from fer_lmdb.serve.http_errors import ApiError
from fer_lmdb.serve.request_images import RequestImages, parse_form, parse_json, parse_raw

MULTIPART_OVERHEAD = 64_000
"""Maximum size in bytes of a multipart or JSON body in addition to the images."""
NOT_IMAGES = ("text/", "application/xml", "video/", "audio/")
DISCARD_SECONDS = 10.0
DISCARD_BYTES = 100_000_000


class UploadReader:
    """Reads request bodies and tracks the memory of all of them.

    Args:
        max_bytes: Maximum size of an image.
        held_bytes: Maximum total size of all bodies in memory.
        seconds: Time limit for one body.
    """

    def __init__(self, max_bytes: int, held_bytes: int, seconds: float) -> None:
        self._max_bytes, self._held_bytes, self._seconds = max_bytes, held_bytes, seconds
        self.held = 0

    @asynccontextmanager
    async def read(self, request: Request, max_bytes: int) -> AsyncIterator[bytes]:
        """Read a body of at most `max_bytes`; it counts as held until the block ends.

        Raises:
            ApiError: If the body is too large, arrives too slowly or does not fit into memory.
            ClientDisconnect: If the client disconnects.
        """
        await self._check_declared_length(request, max_bytes)
        chunks: list[bytes] = []
        try:
            await self._collect(request, max_bytes, chunks)
            yield b"".join(chunks)
        finally:
            self.held -= sum(map(len, chunks))

    @asynccontextmanager
    async def read_images(self, request: Request) -> AsyncIterator[RequestImages]:
        """Read the images of a request: the body, the multipart fields `file`, or base64 in JSON.

        All images of a request together have at most `max_bytes`.

        Raises:
            ApiError: If the body cannot be read (see `read`), or contains no image.
        """
        content_type = request.headers.get("content-type", "").lower()
        if content_type.startswith(NOT_IMAGES):
            raise ApiError(
                "not_a_picture",
                f"found a body of type {content_type.split(';')[0]!r}, expected an image; send image/jpeg, image/png, "
                "..., multipart/form-data with the field file, or application/json with base64",
            )
        async with self.read(request, self._body_limit(content_type)) as data:
            if content_type.startswith("multipart/"):
                found = await parse_form(request.headers, data)
            else:
                found = parse_json(data) if _is_json(content_type) else parse_raw(data)
            if sum(len(image.data) for image in found.images) > self._max_bytes:
                raise self._too_large()
            yield found

    def _body_limit(self, content_type: str) -> int:
        if _is_json(content_type):
            return self._max_bytes * 4 // 3 + MULTIPART_OVERHEAD
        return self._max_bytes + (MULTIPART_OVERHEAD if content_type.startswith("multipart/") else 0)

    async def _collect(self, request: Request, max_bytes: int, chunks: list[bytes]) -> None:
        """Append the body to `chunks`; read and discard the rest of a body that is too large.

        Most clients read the response only after they have sent everything.
        """
        size = 0
        with anyio.move_on_after(self._seconds) as clock:
            async for chunk in request.stream():
                size += len(chunk)
                if size <= max_bytes:
                    self._hold(chunk, chunks)
                elif size > max_bytes + DISCARD_BYTES:
                    break
        if size > max_bytes:
            raise self._too_large()
        if clock.cancelled_caught:
            raise ApiError(
                "upload_too_slow", f"the upload took longer than {self._seconds:g} seconds; send a smaller image"
            )

    def _hold(self, chunk: bytes, chunks: list[bytes]) -> None:
        if self.held + len(chunk) > self._held_bytes:
            raise ApiError("queue_full", "too many uploads at once; try again", retry_after=5)
        self.held += len(chunk)
        chunks.append(chunk)

    async def _check_declared_length(self, request: Request, max_bytes: int) -> None:
        """Reject a body by its Content-Length, before reading it."""
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > max_bytes:
            await discard(request)
            raise self._too_large()

    def _too_large(self) -> ApiError:
        return ApiError(
            "too_large",
            f"the image is larger than {self._max_bytes / 1e6:g} MB; reduce it and try again",
        )


def _is_json(content_type: str) -> bool:
    return content_type.split(";")[0].strip() == "application/json"


async def discard(request: Request) -> None:
    """Read and discard a body for a limited time before an error response.

    Most clients read the response only after they have sent everything.
    """
    if "100-continue" in request.headers.get("expect", ""):
        return
    size = 0
    with anyio.move_on_after(DISCARD_SECONDS):
        async for chunk in request.stream():
            size += len(chunk)
            if size > DISCARD_BYTES:
                return
