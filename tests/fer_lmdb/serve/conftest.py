"""Fixtures: a service process as started by users, and fake workers for a pool."""

from __future__ import annotations

import importlib.util
import json
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pytest

MISSING = [name for name in ("fastapi", "fastapi_offline", "gradio", "uvicorn") if not importlib.util.find_spec(name)]


def png_with_header_size(width: int, height: int) -> bytes:
    """Return a PNG of a few bytes with any size in its header."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


@dataclass
class Service:
    """A running ``fer-lmdb serve``."""

    url: str
    process: subprocess.Popen[str]
    folder: Path

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def stored(self) -> list[Path]:
        """All files in the temporary folder of the service."""
        return [path for path in (self.folder / "tmp").rglob("*") if path.is_file()]


@contextmanager
def running(folder: Path, *options: str) -> Iterator[Service]:
    """Start a service on a free port; stop it with SIGTERM."""
    (folder / "tmp").mkdir(parents=True)
    command = [sys.executable, "-m", "fer_lmdb", "serve", "--port", "0", "--json", *options]
    environment = {**os.environ, "TMPDIR": str(folder / "tmp"), "HOME": str(folder), "OMP_NUM_THREADS": "1"}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, (folder / "log").read_text()
            yield Service(json.loads(line)["url"], process, folder)
        finally:
            process.terminate()
            process.wait(60)
            assert process.stdout is not None
            process.stdout.close()


@pytest.fixture(scope="session")
def web_extra() -> None:
    """Skip if packages of the extra "web" are missing."""
    if MISSING:
        pytest.skip(f'requires the extra "web": {", ".join(MISSING)}')


@pytest.fixture(scope="session")
def service(web_extra, tmp_path_factory) -> Iterator[Service]:
    """A service with the pretrained models, small limits and a queue of four."""
    options = ("--queue", "4", "--max-mb", "1", "--max-megapixels", "2")
    with running(tmp_path_factory.mktemp("service") / "run", *options) as service:
        yield service


@pytest.fixture(scope="session")
def astronaut() -> bytes:
    """PNG file of a photo with one face (NASA, public domain)."""
    from PIL import Image
    from skimage import data

    stream = BytesIO()
    Image.fromarray(data.astronaut()).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def fake_worker(monkeypatch):
    """Worker function for tests; a spawned process imports it by its module's name."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    import fake_workers

    return fake_workers.worker_main


@pytest.fixture(scope="session")
def png_with_size():
    """Function that makes PNG files of a few bytes with any size in their header."""
    return png_with_header_size
