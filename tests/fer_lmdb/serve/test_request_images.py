"""Images of a request: forms and JSON."""

from __future__ import annotations

import asyncio
import gc
import json

import pytest

pytest.importorskip("fastapi", reason='requires the extra "web"')

from starlette.datastructures import Headers

from fer_lmdb.serve.http_errors import ApiError
from fer_lmdb.serve.request_images import MAX_IMAGES, RequestImages, Upload, parse_form, parse_json, parse_raw


def test_a_body_is_one_image() -> None:
    assert parse_raw(b"x") == RequestImages((Upload(b"x", "picture"),), is_list=False)


@pytest.mark.parametrize("text", ["aGVsbG8=", "data:image/jpeg;base64,aGVsbG8=", "aGVs\nbG8="])
def test_base64_with_and_without_a_data_uri(text: str) -> None:
    assert parse_json(json.dumps({"image": text}).encode()) == RequestImages((Upload(b"hello", "picture"),), False)
    found = parse_json(json.dumps({"images": [text, text]}).encode())
    assert found == RequestImages((Upload(b"hello", "image-1"), Upload(b"hello", "image-2")), is_list=True)


@pytest.mark.parametrize(
    "document",
    [
        b"", b"{", b"[]", b"null", b'{"image": 5}', b'{"image": ["a"]}', b'{"images": "aGVsbG8="}', b'{"images": []}',
        b'{"images": [null]}', b'{"image": "/etc/passwd!"}', b'{"image": "aGVsbG8"}', b'{"url": "http://x"}',
        b'{"image": "data:text/html;base64,aGVsbG8="}', b"[" * 100_000, b"\xff\xfe",
        json.dumps({"images": ["aGVsbG8="] * (MAX_IMAGES + 1)}).encode(),
    ],
)  # fmt: skip
def test_other_documents_are_errors(document: bytes) -> None:
    with pytest.raises(ApiError, match="expected") as caught:
        parse_json(document)
    assert caught.value.code == "wrong_request"


def form(*names: str) -> tuple[Headers, bytes]:
    parts = (
        f'--b\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n{name}\r\n' for name in names
    )
    return Headers({"content-type": "multipart/form-data; boundary=b"}), ("".join(parts) + "--b--\r\n").encode()


def test_a_form_may_hold_several_files() -> None:
    assert asyncio.run(parse_form(*form("a.png"))) == RequestImages((Upload(b"a.png", "a.png"),), is_list=False)
    found = asyncio.run(parse_form(*form("a.png", "b.png")))
    assert found == RequestImages((Upload(b"a.png", "a.png"), Upload(b"b.png", "b.png")), is_list=True)
    with pytest.raises(ApiError, match="found 33 images, expected at most 32"):
        asyncio.run(parse_form(*form(*map(str, range(33)))))
    gc.collect()  # raises the ResourceWarning of a file that was not closed
