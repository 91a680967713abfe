"""Read a request's body into memory: never more than allowed, never for longer, never onto the disk."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath

import anyio
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from fer_lmdb.io.images import printable_path
from fer_lmdb.serve.http_errors import ApiError

ENVELOPE = 64_000
"""Bytes that multipart's own lines may take besides the picture."""
NOT_IMAGES = ("application/json", "text/", "application/xml", "video/", "audio/")
UNNAMED = "picture"
MAX_NAME_LENGTH = 120
DISCARD_SECONDS = 10.0
DISCARD_BYTES = 100_000_000


@dataclass(frozen=True)
class Upload:
    """A picture as it came: its bytes and what the client calls it (never used as a path)."""

    data: bytes
    name: str


class UploadReader:
    """Reads bodies and keeps count of what they take together.

    Args:
        max_bytes: largest picture.
        held_bytes: largest sum over all requests at once.
        seconds: time for one body.
    """

    def __init__(self, max_bytes: int, held_bytes: int, seconds: float) -> None:
        self._max_bytes, self._held_bytes, self._seconds = max_bytes, held_bytes, seconds
        self.held = 0

    @asynccontextmanager
    async def read(self, request: Request, most: int) -> AsyncIterator[bytes]:
        """Read a body of at most `most` bytes; it counts until the block ends.

        Raises:
            Refusal: too_large, upload_too_slow or queue_full.
            ClientDisconnect: the client has hung up.
        """
        await self._reject_declared(request, most)
        chunks: list[bytes] = []
        try:
            await self._gather(request, most, chunks)
            yield b"".join(chunks)
        finally:
            self.held -= sum(map(len, chunks))

    @asynccontextmanager
    async def read_image(self, request: Request) -> AsyncIterator[Upload]:
        """Read the picture of a request: the multipart field `file`, or the whole body.

        Raises:
            Refusal: what `read` raises, not_a_picture or wrong_request.
        """
        kind = request.headers.get("content-type", "").lower()
        if kind.startswith(NOT_IMAGES):
            raise ApiError(
                "not_a_picture",
                f"found a body of type {kind.split(';')[0]!r}, expected a picture: send image/jpeg, image/png, ... or "
                "multipart/form-data with the field file",
            )
        is_form = kind.startswith("multipart/")
        async with self.read(request, self._max_bytes + (ENVELOPE if is_form else 0)) as data:
            upload = await _field_of_form(request, data) if is_form else Upload(data, UNNAMED)
            if len(upload.data) > self._max_bytes:
                raise self._too_large()
            yield upload

    async def _gather(self, request: Request, most: int, chunks: list[bytes]) -> None:
        """Fill `chunks`; what goes beyond `most` is read to its end and forgotten, so that the client hears why."""
        size = 0
        with anyio.move_on_after(self._seconds) as clock:
            async for chunk in request.stream():
                size += len(chunk)
                if size <= most:
                    self._hold(chunk, chunks)
                elif size > most + DISCARD_BYTES:
                    break
        if size > most:
            raise self._too_large()
        if clock.cancelled_caught:
            raise ApiError(
                "upload_too_slow", f"the upload took longer than {self._seconds:g} seconds; send a smaller picture"
            )

    def _hold(self, chunk: bytes, chunks: list[bytes]) -> None:
        if self.held + len(chunk) > self._held_bytes:
            raise ApiError("queue_full", "too many uploads at once; try again", retry_after=5)
        self.held += len(chunk)
        chunks.append(chunk)

    async def _reject_declared(self, request: Request, most: int) -> None:
        """Refuse by the length that the head declares, before a byte of the body is read."""
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > most:
            await discard(request)
            raise self._too_large()

    def _too_large(self) -> ApiError:
        return ApiError("too_large", f"the picture has more than {self._max_bytes / 1e6:g} MB; reduce it first")


async def discard(request: Request) -> None:
    """Read on for a moment before a refusal: most clients listen for an answer only when they have sent everything."""
    if "100-continue" in request.headers.get("expect", ""):
        return
    size = 0
    with anyio.move_on_after(DISCARD_SECONDS):
        async for chunk in request.stream():
            size += len(chunk)
            if size > DISCARD_BYTES:
                return


class _MemoryMultipartParser(MultiPartParser):
    """Starlette's parser, which would put files of more than a megabyte onto the disk."""

    spool_max_size = 2**40


async def _field_of_form(request: Request, data: bytes) -> Upload:
    async def once() -> AsyncGenerator[bytes, None]:
        yield data

    try:
        form = await _MemoryMultipartParser(
            request.headers, once(), max_files=4, max_fields=16, max_part_size=ENVELOPE
        ).parse()
    except (MultiPartException, ValueError) as error:
        raise ApiError("wrong_request", f"the multipart body is damaged: {_reason(error)}") from None
    field = form.get("file")
    if not isinstance(field, UploadFile):
        names = ", ".join(sorted({printable_path(name)[:40] for name in form})) or "none"
        raise ApiError("wrong_request", f"found the fields: {names}; expected a file in the field file")
    upload = Upload(await field.read(), _name_of(field.filename))
    await form.close()
    return upload


def _reason(error: Exception) -> str:
    text = getattr(error, "message", None) or str(error) or type(error).__name__
    return " ".join(text.split())


def _name_of(filename: str | None) -> str:
    """Return the last part of the client's file name as one short line."""
    last = PurePosixPath((filename or "").replace("\\", "/")).name
    return printable_path(last.encode("utf-8", "replace").decode())[:MAX_NAME_LENGTH] or UNNAMED
