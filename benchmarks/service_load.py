"""Load test of the service with valid and hostile clients: correct responses, bounded memory, recovery.

    python benchmarks/service_load.py --clients 200 --seconds 60 --seed 0

Each client repeats actions drawn from the list below: it sends a valid image, garbage, a decompression bomb or a file
that is too large, aborts an upload, sends headers or a body one byte at a time, or sends garbage to the event address
of the web UI. The service runs in its own process with its default limits; memory is the sum of all its processes. At
the end it gets one more request, then SIGTERM.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import psutil
from PIL import Image
from skimage import data

KINDS = {
    "good": 50,
    "garbage": 10,
    "bomb": 10,
    "too large": 6,
    "aborted": 10,
    "slow head": 5,
    "slow body": 5,
    "page": 4,
}
"""Actions of a client, in percent."""
EXPECTED = {
    "good": {200, 503},
    "garbage": {415, 503},
    "bomb": {413, 503},
    "too large": {413, 503},
    "slow head": {0, 408},
    "slow body": {0, 408, 503},
    "aborted": {0},
    "page": {422, 503},
}
"""Correct status codes; 0 is a connection closed by either side."""
SLOW_SECONDS = 40.0
HEAD_ONLY = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"


@contextmanager
def service(folder: Path) -> Iterator[tuple[str, int, psutil.Process]]:
    """Start a service on a free port; yield host, port and its process."""
    command = [sys.executable, "-m", "fer_lmdb", "serve", "--port", "0", "--json", "--quiet"]
    environment = {**os.environ, "TMPDIR": str(folder)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["url"]
        host, port = url.removeprefix("http://").split(":")
        try:
            yield host, int(port), psutil.Process(process.pid)
        finally:
            process.terminate()


def good_image() -> bytes:
    """Return a photograph of 40 kB with one face (NASA, public domain)."""
    stream = BytesIO()
    Image.fromarray(data.astronaut()).save(stream, "JPEG", quality=85)
    return stream.getvalue()


def bomb() -> bytes:
    """Return a PNG of 1 kB with 40,000 x 40,000 pixels in its header."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(10**6))) + chunk(b"IEND", b"")
    )


async def post(host: str, port: int, body: bytes, path: str = "/v1/predict") -> tuple[int, dict[str, str], bytes]:
    """Send a request on a new connection; return status, headers and body."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        with suppress(ConnectionError):
            await writer.drain()
        return parsed(await reader.read())
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


def parsed(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    """Parse a response; status 0 if there is none."""
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    if not lines[0].startswith("HTTP/"):
        return 0, {}, b""
    headers = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
    return int(lines[0].split()[1]), headers, body


async def trickle(host: str, port: int, start: bytes) -> tuple[int, dict[str, str], bytes]:
    """Send a start, then one byte per second until the service closes the connection; status -1 if it does not."""
    reader, writer = await asyncio.open_connection(host, port)
    answer = asyncio.ensure_future(reader.read())
    ends = time.monotonic() + SLOW_SECONDS
    try:
        writer.write(start)
        with suppress(ConnectionError):
            while not answer.done() and time.monotonic() < ends:
                writer.write(b"x")
                await writer.drain()
                await asyncio.wait({answer}, timeout=1)
        if time.monotonic() >= ends:
            return -1, {}, b""
        return parsed(answer.result() if answer.done() and not answer.exception() else b"")
    finally:
        answer.cancel()
        await asyncio.gather(answer, return_exceptions=True)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def abort(host: str, port: int, image: bytes) -> tuple[int, dict[str, str], bytes]:
    """Start the upload of an image and abort it after one half."""
    _, writer = await asyncio.open_connection(host, port)
    writer.write(HEAD_ONLY + f"Content-Length: {len(image)}\r\n\r\n".encode() + image[: len(image) // 2])
    with suppress(ConnectionError):
        await writer.drain()
    await asyncio.sleep(0.05)
    writer.transport.abort()
    return 0, {}, b""


class Load:
    """Clients and their observations.

    Args:
        host: Host of the service.
        port: Port of the service.
        seed: Seed of the actions.
        slow: Whether to include slow clients, which run into the time limits of the service.
    """

    def __init__(self, host: str, port: int, seed: int, slow: bool = True) -> None:
        self._at = (host, port)
        self._kinds = {kind: percent for kind, percent in KINDS.items() if slow or not kind.startswith("slow")}
        self._random = random.Random(seed)
        self._image, self._bomb = good_image(), bomb()
        self._garbage = self._random.randbytes(50_000)
        self.reference: bytes = b""
        self.seen: Counter[tuple[str, int]] = Counter()
        self.wrong: Counter[str] = Counter()
        self.seconds: list[float] = []

    async def run(self, clients: int, seconds: float) -> None:
        """Run all clients for some time."""
        ends = time.monotonic() + seconds
        await asyncio.gather(*(self._client(ends) for _ in range(clients)))

    async def ask_once(self) -> tuple[int, float]:
        """Send a valid image; return the status and the seconds."""
        started = time.monotonic()
        status, _, body = await post(*self._at, self._image)
        if status == 200:
            self.reference = self.reference or body
            self.wrong["answer"] += body != self.reference
        return status, time.monotonic() - started

    async def _client(self, ends: float) -> None:
        while time.monotonic() < ends:
            (kind,) = self._random.choices(list(self._kinds), list(self._kinds.values()))
            started = time.monotonic()
            try:
                status, headers, body = await self._do(kind)
            except (ConnectionError, OSError):
                status, headers, body = 0, {}, b""
            self._note(kind, status, headers, body, time.monotonic() - started)
            await asyncio.sleep(min(1.0, float(headers.get("retry-after", 0))))

    async def _do(self, kind: str) -> tuple[int, dict[str, str], bytes]:
        bodies = {"good": self._image, "garbage": self._garbage, "bomb": self._bomb, "too large": bytes(10_000_001)}
        if kind in bodies:
            return await post(*self._at, bodies[kind])
        if kind == "aborted":
            return await abort(*self._at, self._image)
        if kind == "page":
            return await post(*self._at, b'{"data": [{"path": "/etc/passwd"}]}', "/gradio_api/queue/join")
        start = HEAD_ONLY if kind == "slow head" else HEAD_ONLY + b"Content-Length: 50000\r\n\r\n"
        return await trickle(*self._at, start)

    def _note(self, kind: str, status: int, headers: dict[str, str], body: bytes, seconds: float) -> None:
        self.seen[kind, status] += 1
        if status not in EXPECTED[kind]:
            self.wrong[f"{kind}: status {status}"] += 1
        if status == 503 and "retry-after" not in headers:
            self.wrong["503 without Retry-After"] += 1
        if status >= 400 and (b"Traceback" in body or "error" not in json.loads(body)):
            self.wrong[f"{kind}: {status} without a clear body"] += 1
        if status == 200:
            self.seconds.append(seconds)
            self.wrong["answer"] += body != self.reference


def memory(process: psutil.Process) -> float:
    """Return the memory of all processes of the service in megabytes."""
    total = 0
    for one in [process, *process.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            total += one.memory_info().rss
    return total / 1e6


async def watch(process: psutil.Process, readings: list[float]) -> None:
    """Measure the memory every half second."""
    while True:
        readings.append(memory(process))
        await asyncio.sleep(0.5)


async def measure(host: str, port: int, process: psutil.Process, options: argparse.Namespace) -> dict[str, Any]:
    """Run the load test and return the results."""
    load = Load(host, port, options.seed, not options.no_slow)
    first, _ = await load.ask_once()
    readings = [memory(process)]
    watching = asyncio.ensure_future(watch(process, readings))
    await load.run(options.clients, options.seconds)
    watching.cancel()
    recovery = time.monotonic()
    while (await load.ask_once())[0] != 200 and time.monotonic() - recovery < 60:
        await asyncio.sleep(0.2)
    ordered = sorted(load.seconds)
    quarter = max(1, len(readings) // 4)
    return {
        "clients": options.clients,
        "seconds": options.seconds,
        "seed": options.seed,
        "first": first,
        "seen": {f"{kind}: {status or 'closed'}": count for (kind, status), count in sorted(load.seen.items())},
        "wrong": {name: count for name, count in load.wrong.items() if count},
        "good_median_s": ordered[len(ordered) // 2] if ordered else None,
        "good_slowest_s": ordered[-1] if ordered else None,
        "memory_mb": {
            "before": round(readings[0]),
            "second quarter": round(max(readings[quarter : 2 * quarter], default=0)),
            "last quarter": round(max(readings[-quarter:])),
            "peak": round(max(readings)),
        },
        "recovered_after_s": round(time.monotonic() - recovery, 2),
        "load_average": round(os.getloadavg()[0], 1),
    }


def main() -> None:
    """Run and print the results; the exit code is 0 if all responses were correct."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-slow", action="store_true", help="exclude slow clients")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        with service(Path(folder)) as (host, port, process):
            results = asyncio.run(measure(host, port, process, options))
            process.terminate()
            results["exit_code"] = process.wait(60)
        results["files_left"] = [path.name for path in Path(folder).rglob("*")]
    print(json.dumps(results, indent=2))
    sys.exit(bool(results["wrong"] or results["exit_code"] or results["files_left"]))


if __name__ == "__main__":
    main()
