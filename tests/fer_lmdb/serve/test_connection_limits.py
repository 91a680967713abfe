"""Slow, too many and disconnected clients, on a server with sub-second limits."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_lmdb.serve.http_errors import ApiError

uvicorn = pytest.importorskip("uvicorn", reason='requires the extra "web"')

from starlette.requests import ClientDisconnect, Request  # noqa: E402 - packages of the extra

from fer_lmdb.serve.connection_limits import make_protocol  # noqa: E402
from fer_lmdb.serve.uploads import UploadReader  # noqa: E402

HEADER_SECONDS = 0.5
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def small_app(scope, receive, send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
def port() -> Iterator[int]:
    """Port of a server with three connections and half a second for a header."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        protocol = make_protocol(3, HEADER_SECONDS)
        config = uvicorn.Config(small_app, http=protocol, ws="none", lifespan="off", log_config=None, access_log=False)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield listener.getsockname()[1]
        server.should_exit = True
        thread.join(10)


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def get(connection: socket.socket) -> bytes:
    """Send a request and read the response, which may arrive in pieces."""
    connection.sendall(REQUEST)
    answer = b""
    while not answer.endswith(b"ok") and (more := connection.recv(1000)):
        answer += more
    return answer


def read_all(connection: socket.socket) -> bytes:
    """Read until the server closes the connection."""
    answer = b""
    while more := connection.recv(1000):
        answer += more
    return answer


def test_silent_client_is_disconnected(port: int) -> None:
    with connect(port) as silent:
        assert read_all(silent).startswith(b"HTTP/1.1 408 ")


def test_slow_client_is_disconnected(port: int) -> None:
    started = time.monotonic()
    with connect(port) as slow, pytest.raises(OSError):
        for letter in REQUEST[:10] * 10:
            slow.sendall(bytes([letter]))
            time.sleep(0.1)
            if time.monotonic() > started + 8:
                break
    assert time.monotonic() - started < 8


def test_header_time_limit_of_a_second_request(port: int) -> None:
    with connect(port) as reused:
        assert get(reused).endswith(b"ok")
        assert get(reused).endswith(b"ok")
        started = time.monotonic()
        reused.sendall(REQUEST[:9])
        assert read_all(reused).startswith(b"HTTP/1.1 408 ")
        assert time.monotonic() - started < 4


def test_too_many_connections_get_503(port: int) -> None:
    held = [connect(port) for _ in range(3)]
    time.sleep(0.1)
    with connect(port) as fourth:
        head, _, body = read_all(fourth).partition(b"\r\n\r\n")
    for one in held:
        one.close()
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 2" in head.lower()
    assert json.loads(body)["error"]["code"] == "queue_full"
    time.sleep(0.1)
    with connect(port) as after:
        assert get(after).endswith(b"ok")


def request_of(messages: list[dict], **headers: str) -> Request:
    """A request with these body messages, after which nothing arrives."""
    pending = list(messages)

    async def receive() -> dict:
        if not pending:
            await asyncio.sleep(3600)
        return pending.pop(0)

    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "headers": raw, "query_string": b"", "path": "/"}, receive)


def part(body: bytes, more: bool = True) -> dict:
    return {"type": "http.request", "body": body, "more_body": more}


async def error_code(uploads: UploadReader, request: Request) -> str:
    with pytest.raises(ApiError) as caught:
        async with uploads.read_images(request):
            pass
    assert uploads.held == 0
    return caught.value.code


def test_slow_body_is_rejected() -> None:
    uploads = UploadReader(max_bytes=100, held_bytes=150, seconds=0.2)
    assert asyncio.run(error_code(uploads, request_of([part(b"x")]))) == "upload_too_slow"


def test_disconnected_client_frees_its_memory() -> None:
    async def scenario() -> None:
        uploads = UploadReader(max_bytes=100, held_bytes=150, seconds=5)
        with pytest.raises(ClientDisconnect):
            async with uploads.read_images(request_of([part(b"x" * 50), {"type": "http.disconnect"}])):
                pass
        assert uploads.held == 0

    asyncio.run(scenario())


def test_total_memory_of_uploads_is_limited() -> None:
    async def scenario() -> None:
        uploads = UploadReader(max_bytes=100, held_bytes=150, seconds=5)
        async with uploads.read_images(request_of([part(b"x" * 100, more=False)])) as first:
            assert len(first.images[0].data) == uploads.held == 100
            with pytest.raises(ApiError) as caught:
                async with uploads.read_images(request_of([part(b"y" * 60, more=False)])):
                    pass
            assert (caught.value.code, caught.value.retry_after) == ("queue_full", 5)
        assert uploads.held == 0
        assert await error_code(uploads, request_of([part(b"x" * 60), part(b"x" * 60, more=False)])) == "too_large"
        assert await error_code(uploads, request_of([part(b"", more=False)], content_length="101")) == "too_large"

    asyncio.run(scenario())


def test_large_multipart_uploads_are_not_written_to_disk(monkeypatch) -> None:
    import tempfile

    def fail(*_, **__):
        raise AssertionError("an image was about to be written to disk")

    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", fail)
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a/../b.png"\r\n\r\n'
    body = head + bytes(3_000_000) + b"\r\n--b--\r\n"

    async def scenario() -> None:
        uploads = UploadReader(max_bytes=4_000_000, held_bytes=9_000_000, seconds=5)
        request = request_of([part(body, more=False)], content_type="multipart/form-data; boundary=b")
        async with uploads.read_images(request) as upload:
            assert (len(upload.images[0].data), upload.images[0].name) == (3_000_000, "b.png")

    asyncio.run(scenario())


PIECES = [
    b"--b",
    b"--",
    b"\r\n",
    b"Content-Disposition: form-data; ",
    b'name="file"',
    b'; filename="p.png"',
    b"\r\n\r\n",
]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from(PIECES) | st.binary(max_size=12), max_size=14), st.sampled_from(["b", '"b"', "", "\xff"])
)
def test_any_multipart_body_is_an_upload_or_an_error(pieces: list[bytes], boundary: str) -> None:
    async def scenario() -> None:
        uploads = UploadReader(max_bytes=1000, held_bytes=2000, seconds=5)
        raw = [(b"content-type", f"multipart/form-data; boundary={boundary}".encode("latin-1"))]
        messages = iter([part(b"".join(pieces), more=False)])

        async def receive() -> dict:
            return next(messages)

        request = Request({"type": "http", "method": "POST", "headers": raw, "path": "/"}, receive)
        try:
            async with uploads.read_images(request) as upload:
                for image in upload.images:
                    assert image.name.isprintable()
                    assert "/" not in image.name
        except ApiError as error:
            assert error.code in {"wrong_request", "not_a_picture"}
        assert uploads.held == 0

    asyncio.run(scenario())
