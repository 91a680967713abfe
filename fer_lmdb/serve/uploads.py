"""Read request bodies into memory, with limits on size, time and total memory; nothing is written to disk."""

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

MULTIPART_OVERHEAD = 64_000
"""Maximum size in bytes of a multipart body in addition to the image."""
NOT_IMAGES = ("application/json", "text/", "application/xml", "video/", "audio/")
DEFAULT_NAME = "picture"
MAX_NAME_LENGTH = 120
DISCARD_SECONDS = 10.0
DISCARD_BYTES = 100_000_000


@dataclass(frozen=True)
class Upload:
    """An uploaded image.

    Attributes:
        data: Contents of the file.
        name: File name given by the client, for display only; never used as a path.
    """

    data: bytes
    name: str


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
    async def read_image(self, request: Request) -> AsyncIterator[Upload]:
        """Read the image of a request: the multipart field `file` or the body.

        Raises:
            ApiError: If the body cannot be read (see `read`), or contains no image.
        """
        content_type = request.headers.get("content-type", "").lower()
        if content_type.startswith(NOT_IMAGES):
            raise ApiError(
                "not_a_picture",
                f"found a body of type {content_type.split(';')[0]!r}, expected an image; send image/jpeg, image/png, "
                "... or multipart/form-data with the field file",
            )
        is_form = content_type.startswith("multipart/")
        async with self.read(request, self._max_bytes + (MULTIPART_OVERHEAD if is_form else 0)) as data:
            upload = await _parse_form(request, data) if is_form else Upload(data, DEFAULT_NAME)
            if len(upload.data) > self._max_bytes:
                raise self._too_large()
            yield upload

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
        return ApiError("too_large", f"the image is larger than {self._max_bytes / 1e6:g} MB; reduce it and try again")


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


class _MemoryMultipartParser(MultiPartParser):
    """Starlette's parser without its temporary files for uploads above 1 MB."""

    spool_max_size = 2**40


async def _parse_form(request: Request, data: bytes) -> Upload:
    async def stream() -> AsyncGenerator[bytes, None]:
        yield data

    try:
        form = await _MemoryMultipartParser(
            request.headers, stream(), max_files=4, max_fields=16, max_part_size=MULTIPART_OVERHEAD
        ).parse()
    except (MultiPartException, ValueError) as error:
        raise ApiError("wrong_request", f"the multipart body is damaged: {_reason(error)}") from None
    field = form.get("file")
    if not isinstance(field, UploadFile):
        names = ", ".join(sorted({printable_path(name)[:40] for name in form})) or "none"
        raise ApiError("wrong_request", f"found the fields: {names}; expected a file in the field file")
    upload = Upload(await field.read(), _display_name(field.filename))
    await form.close()
    return upload


def _reason(error: Exception) -> str:
    text = getattr(error, "message", None) or str(error) or type(error).__name__
    return " ".join(text.split())


def _display_name(filename: str | None) -> str:
    """Return the last component of the client's file name as one printable line."""
    last = PurePosixPath((filename or "").replace("\\", "/")).name
    return printable_path(last.encode("utf-8", "replace").decode())[:MAX_NAME_LENGTH] or DEFAULT_NAME
