"""The images of a request: a raw body, files of a form, or base64 in JSON."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from fer_lmdb.io.images import printable_path
from fer_lmdb.serve.http_errors import ApiError

MAX_IMAGES = 32
"""Maximum number of images in a request."""
MAX_FIELD_BYTES = 64_000
"""Maximum size in bytes of a field of a form that is not a file."""
DEFAULT_NAME = "picture"
MAX_NAME_LENGTH = 120
_DATA_URI = re.compile(r"data:image/[a-z0-9.+-]{1,32};base64,", re.IGNORECASE)
_EXPECTED_JSON = 'expected {"image": "<base64>"} or {"images": ["<base64>", ...]}'


@dataclass(frozen=True)
class Upload:
    """An uploaded image.

    Attributes:
        data: Contents of the file.
        name: File name given by the client, for display only; never used as a path.
    """

    data: bytes
    name: str


@dataclass(frozen=True)
class RequestImages:
    """The images of one request.

    Attributes:
        images: At least one image.
        is_list: Whether the response is a list, even of one image.
    """

    images: tuple[Upload, ...]
    is_list: bool


def parse_raw(data: bytes) -> RequestImages:
    """Return the body as one image."""
    return RequestImages((Upload(data, DEFAULT_NAME),), is_list=False)


def parse_json(data: bytes) -> RequestImages:
    """Return the images of a JSON document, base64 with or without a data URI.

    Raises:
        ApiError: If the document has another structure (wrong_request).
    """
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise ApiError("wrong_request", f"the body is not JSON; {_EXPECTED_JSON}") from None
    names = sorted(document) if isinstance(document, dict) else []
    if names == ["image"]:
        return RequestImages((_decode(document["image"], DEFAULT_NAME),), is_list=False)
    if names == ["images"] and isinstance(document["images"], list) and document["images"]:
        texts = document["images"]
        _check_count(len(texts))
        images = tuple(_decode(text, f"image-{number}") for number, text in enumerate(texts, 1))
        return RequestImages(images, is_list=True)
    raise ApiError("wrong_request", f"the JSON document has no image; {_EXPECTED_JSON}")


async def parse_form(headers: Headers, data: bytes) -> RequestImages:
    """Return the files of the field `file` of a form, which may be repeated.

    Raises:
        ApiError: If the form is damaged or has no such file (wrong_request).
    """

    async def stream() -> AsyncGenerator[bytes, None]:
        yield data

    parser = _MemoryMultipartParser(
        headers, stream(), max_files=MAX_IMAGES + 4, max_fields=16, max_part_size=MAX_FIELD_BYTES
    )
    try:
        form = await parser.parse()
    except (MultiPartException, ValueError) as error:
        raise ApiError("wrong_request", f"the multipart body is damaged: {_reason(error)}") from None
    try:
        return await _read_files(form)
    finally:
        await form.close()


async def _read_files(form: FormData) -> RequestImages:
    files = [field for field in form.getlist("file") if isinstance(field, UploadFile)]
    if not files:
        names = ", ".join(sorted({printable_path(name)[:40] for name in form})) or "none"
        raise ApiError("wrong_request", f"found the fields: {names}; expected a file in the field file")
    _check_count(len(files))
    images = tuple([Upload(await file.read(), _display_name(file.filename)) for file in files])
    return RequestImages(images, is_list=len(images) > 1)


class _MemoryMultipartParser(MultiPartParser):
    """Starlette's parser without its temporary files for uploads above 1 MB."""

    spool_max_size = 2**40


def _check_count(count: int) -> None:
    if count > MAX_IMAGES:
        raise ApiError("wrong_request", f"found {count} images, expected at most {MAX_IMAGES}; send several requests")


def _decode(text: Any, name: str) -> Upload:
    if not isinstance(text, str):
        raise ApiError("wrong_request", f"{name}: found {type(text).__name__}, {_EXPECTED_JSON}")
    prefix = _DATA_URI.match(text)
    try:
        data = base64.b64decode("".join(text[prefix.end() if prefix else 0 :].split()), validate=True)
    except (binascii.Error, ValueError):
        raise ApiError("wrong_request", f"{name}: is not base64; {_EXPECTED_JSON}") from None
    return Upload(data, name)


def _reason(error: Exception) -> str:
    text = getattr(error, "message", None) or str(error) or type(error).__name__
    return " ".join(text.split())


def _display_name(filename: str | None) -> str:
    """Return the last component of the client's file name as one printable line."""
    last = PurePosixPath((filename or "").replace("\\", "/")).name
    return printable_path(last.encode("utf-8", "replace").decode())[:MAX_NAME_LENGTH] or DEFAULT_NAME
