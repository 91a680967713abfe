"""Clients that are slow, many or gone, on a small server with limits of parts of a second."""

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

uvicorn = pytest.importorskip("uvicorn", reason='needs the extra "web"')

from starlette.requests import ClientDisconnect, Request  # noqa: E402 - parts of the extra

from fer_lmdb.serve.connection_limits import make_protocol  # noqa: E402
from fer_lmdb.serve.uploads import UploadReader  # noqa: E402

HEAD_SECONDS = 0.5
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def small_app(scope, receive, send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
def port() -> Iterator[int]:
    """A server that takes three connections and waits half a second for a head."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        protocol = make_protocol(3, HEAD_SECONDS)
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


def ask(connection: socket.socket) -> bytes:
    """Send a request and read its answer, which may come in pieces."""
    connection.sendall(REQUEST)
    answer = b""
    while not answer.endswith(b"ok") and (more := connection.recv(1000)):
        answer += more
    return answer


def everything(connection: socket.socket) -> bytes:
    """Read until the other side closes."""
    answer = b""
    while more := connection.recv(1000):
        answer += more
    return answer


def test_who_sends_nothing_is_let_go(port: int) -> None:
    with connect(port) as silent:
        assert everything(silent).startswith(b"HTTP/1.1 408 ")


def test_who_sends_a_byte_at_a_time_is_let_go_too(port: int) -> None:
    started = time.monotonic()
    with connect(port) as slow, pytest.raises(OSError):
        for letter in REQUEST[:10] * 10:
            slow.sendall(bytes([letter]))
            time.sleep(0.1)
            if time.monotonic() > started + 8:
                break
    assert time.monotonic() - started < 8


def test_a_second_request_has_no_more_time_for_its_head(port: int) -> None:
    with connect(port) as kept:
        assert ask(kept).endswith(b"ok")
        assert ask(kept).endswith(b"ok")
        started = time.monotonic()
        kept.sendall(REQUEST[:9])
        assert everything(kept).startswith(b"HTTP/1.1 408 ")
        assert time.monotonic() - started < 4


def test_one_connection_too_many_is_told_to_come_back(port: int) -> None:
    held = [connect(port) for _ in range(3)]
    time.sleep(0.1)
    with connect(port) as fourth:
        head, _, body = everything(fourth).partition(b"\r\n\r\n")
    for one in held:
        one.close()
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 2" in head.lower()
    assert json.loads(body)["error"]["code"] == "queue_full"
    time.sleep(0.1)
    with connect(port) as after:
        assert ask(after).endswith(b"ok")


def request_of(messages: list[dict], **headers: str) -> Request:
    """A request whose body comes in these messages, and then nothing more."""
    pending = list(messages)

    async def receive() -> dict:
        if not pending:
            await asyncio.sleep(3600)
        return pending.pop(0)

    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "headers": raw, "query_string": b"", "path": "/"}, receive)


def part(body: bytes, more: bool = True) -> dict:
    return {"type": "http.request", "body": body, "more_body": more}


async def refused(bodies: UploadReader, request: Request) -> str:
    with pytest.raises(ApiError) as caught:
        async with bodies.read_image(request):
            pass
    assert bodies.held == 0
    return caught.value.code


def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    bodies = UploadReader(max_bytes=100, held_bytes=150, seconds=0.2)
    assert asyncio.run(refused(bodies, request_of([part(b"x")]))) == "upload_too_slow"


def test_a_client_that_hangs_up_frees_its_memory() -> None:
    async def scenario() -> None:
        bodies = UploadReader(max_bytes=100, held_bytes=150, seconds=5)
        with pytest.raises(ClientDisconnect):
            async with bodies.read_image(request_of([part(b"x" * 50), {"type": "http.disconnect"}])):
                pass
        assert bodies.held == 0

    asyncio.run(scenario())


def test_all_bodies_together_are_bounded() -> None:
    async def scenario() -> None:
        bodies = UploadReader(max_bytes=100, held_bytes=150, seconds=5)
        async with bodies.read_image(request_of([part(b"x" * 100, more=False)])) as first:
            assert len(first.data) == bodies.held == 100
            with pytest.raises(ApiError) as caught:
                async with bodies.read_image(request_of([part(b"y" * 60, more=False)])):
                    pass
            assert (caught.value.code, caught.value.retry_after) == ("queue_full", 5)
        assert bodies.held == 0
        assert await refused(bodies, request_of([part(b"x" * 60), part(b"x" * 60, more=False)])) == "too_large"
        assert await refused(bodies, request_of([part(b"", more=False)], content_length="101")) == "too_large"

    asyncio.run(scenario())


def test_large_multipart_bodies_never_touch_the_disk(monkeypatch) -> None:
    import tempfile

    def refuse(*_, **__):
        raise AssertionError("a picture was about to be written")

    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", refuse)
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a/../b.png"\r\n\r\n'
    body = head + bytes(3_000_000) + b"\r\n--b--\r\n"

    async def scenario() -> None:
        bodies = UploadReader(max_bytes=4_000_000, held_bytes=9_000_000, seconds=5)
        request = request_of([part(body, more=False)], content_type="multipart/form-data; boundary=b")
        async with bodies.read_image(request) as upload:
            assert (len(upload.data), upload.name) == (3_000_000, "b.png")

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
def test_any_multipart_body_is_an_upload_or_a_refusal(pieces: list[bytes], boundary: str) -> None:
    async def scenario() -> None:
        bodies = UploadReader(max_bytes=1000, held_bytes=2000, seconds=5)
        raw = [(b"content-type", f"multipart/form-data; boundary={boundary}".encode("latin-1"))]
        messages = iter([part(b"".join(pieces), more=False)])

        async def receive() -> dict:
            return next(messages)

        request = Request({"type": "http", "method": "POST", "headers": raw, "path": "/"}, receive)
        try:
            async with bodies.read_image(request) as upload:
                assert upload.name.isprintable()
                assert "/" not in upload.name
        except ApiError as refusal:
            assert refusal.code in {"wrong_request", "not_a_picture"}
        assert bodies.held == 0

    asyncio.run(scenario())
