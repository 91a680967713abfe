"""Readers of each kind of file; each takes the bytes and a folder for them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import numpy as np

import prototxt_like as pl
from fer_lmdb.data.dataset import DataSet
from fer_lmdb.data.sources.fer2013 import Fer2013Csv
from fer_lmdb.data.sources.ferplus import read_votes
from fer_lmdb.errors import FerLmdbError
from fer_lmdb.inspection.inspect import inspect
from fer_lmdb.io.images import decode_image
from fer_lmdb.models.classifier import Classifier
from fer_lmdb.models.registry import load_model
from fer_lmdb.models.run_folder import RunFolder
from fer_lmdb.training.snapshot import Snapshot
from prototxt_like.errors import PrototxtLikeError
from prototxt_like.io.datum_store import decode_datum

from .outputs import try_outputs
from .seeds import NET

EXPECTED_ERRORS = (FerLmdbError, PrototxtLikeError)
"""Errors that a reader may raise."""

SMALL_NET = 1 << 22
"""Limit of values, as for untrusted nets."""


def _inspected(suffix: str) -> Callable[[bytes, Path], None]:
    def read(data: bytes, folder: Path) -> None:
        path = folder / f"file.{suffix}"
        path.write_bytes(data)
        inspect(path, verify=True)

    return read


def _prototxt(data: bytes, folder: Path) -> None:
    path = folder / "file.prototxt"
    path.write_bytes(data)
    with suppress(*EXPECTED_ERRORS):
        pl.summary(pl.Net(path, max_values=SMALL_NET))
    inspect(path, verify=True)


def _caffemodel(data: bytes, folder: Path) -> None:
    path = folder / "file.caffemodel"
    path.write_bytes(data)
    with suppress(*EXPECTED_ERRORS):
        pl.Net(pl.parse_net(NET), weights=path)
    inspect(path, verify=True)


def _datum(data: bytes, folder: Path) -> None:
    decode_datum(data, "db: key")


def _lmdb(data: bytes, folder: Path) -> None:
    (folder / "file_lmdb").mkdir(exist_ok=True)
    (folder / "file_lmdb" / "data.mdb").write_bytes(data)
    inspect(folder / "file_lmdb", verify=True)


def _csv(data: bytes, folder: Path) -> None:
    (folder / "file.csv").write_bytes(data)
    for item in Fer2013Csv(folder / "file.csv"):
        assert "\n" not in item.location


def _votes(data: bytes, folder: Path) -> None:
    (folder / "file.csv").write_bytes(data)
    read_votes(folder / "file.csv")


def _image(data: bytes, folder: Path) -> None:
    image = decode_image(data)
    assert image.ndim == 3 and image.shape[2] == 3 and image.dtype == np.uint8


def _model(data: bytes, folder: Path) -> None:
    path = folder / "file.safetensors"
    path.write_bytes(data)
    with suppress(*EXPECTED_ERRORS):
        Classifier(load_model(path)).probabilities(np.zeros((1, 1, 8, 8), np.uint8))
    inspect(path, verify=True)


def _snapshot(data: bytes, folder: Path) -> None:
    run = RunFolder(folder)
    run.snapshot.write_bytes(data)
    Snapshot.read(run)


def _manifest(data: bytes, folder: Path) -> None:
    (folder / "manifest.json").write_bytes(data)
    data_set = DataSet.open(folder)
    assert data_set.scheme.classes is not None and data_set.preprocessing is not None
    data_set.fingerprint()
    inspect(folder, verify=True)


def _http(data: bytes, folder: Path) -> None:
    """Read a request (headers, empty line, body) as the web service does, up to the decoded image."""
    import anyio
    from starlette.requests import Request

    from fer_lmdb.serve.uploads import UploadReader

    head, _, body = data.partition(b"\r\n\r\n")
    headers = [tuple(line.split(b": ", 1)) for line in head.lower().split(b"\r\n") if b": " in line]
    pieces = [
        {"type": "http.request", "body": body[:100], "more_body": True},
        {"type": "http.request", "body": body[100:]},
    ]
    scope = {"type": "http", "method": "POST", "path": "/v1/predict", "query_string": b"", "headers": headers}

    async def receive() -> dict[str, object]:
        return pieces.pop(0) if pieces else {"type": "http.disconnect"}

    async def read() -> None:
        async with UploadReader(1_000_000, 10_000_000, seconds=2).read_images(Request(scope, receive)) as upload:
            for image in upload.images:
                assert "\n" not in image.name
                decode_image(image.data)

    anyio.run(read)


TARGETS: dict[str, Callable[[bytes, Path], None]] = {
    "prototxt": _prototxt,
    "caffemodel": _caffemodel,
    "binaryproto": _inspected("binaryproto"),
    "datum": _datum,
    "lmdb": _lmdb,
    "csv": _csv,
    "votes": _votes,
    "image": _image,
    "model": _model,
    "snapshot": _snapshot,
    "manifest": _manifest,
    "outputs": try_outputs,
}
if find_spec("starlette"):
    TARGETS["http"] = _http
