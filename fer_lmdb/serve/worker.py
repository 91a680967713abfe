"""Worker process: decodes images and predicts expressions; no other part of the service handles pixels.

The process is spawned, communicates over one pipe and exits when the pipe is closed.

    service -> worker   (model name, contents of the file, display name)
    worker -> service   {"width", "height", "faces"} or {"code", "message"}
"""

from __future__ import annotations

import signal
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer_lmdb.errors import FerLmdbError, one_line
from fer_lmdb.serve.decoding import decode_upload
from fer_lmdb.serve.http_errors import ApiError
from fer_lmdb.serve.settings import ServerSettings

if TYPE_CHECKING:
    from fer_lmdb.inference.recognizer import Recognizer

Answer = dict[str, Any]
PUBLIC_METRICS = ("split", "n", "accuracy", "ci95", "tta")
"""Public keys of an evaluation; the others contain paths of the machine that trained the model."""


def worker_main(connection: Connection, settings: ServerSettings) -> None:
    """Load the models, send their descriptions, then handle requests until the connection is closed."""
    # Ctrl-C is sent to the whole process group; the service stops its workers itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        worker = Worker(settings)
    except (FerLmdbError, OSError) as error:
        connection.send({"failed": one_line(error)})
        return
    connection.send({"models": worker.models})
    while True:
        try:
            request = connection.recv()
        except EOFError:
            return
        connection.send(worker.handle(*request))


class Worker:
    """Recognizers by model name; results are plain values.

    Args:
        settings: Models, detector, device and the pixel limit.

    Raises:
        FerLmdbError: If a model or detector cannot be loaded.
    """

    def __init__(self, settings: ServerSettings) -> None:
        from fer_lmdb.inference.recognizer import Recognizer

        self._max_pixels = settings.max_pixels
        self._recognizers: dict[str, Recognizer] = {}
        self.models = []
        for name, path in _public_names(settings.models).items():
            self._recognizers[name] = Recognizer(
                path,
                detector=settings.detector,
                detector_threshold=settings.detector_threshold,
                device=settings.device,
            )
            self.models.append(_describe(name, path))
        self._warm_up()

    def handle(self, model: str, data: bytes, name: str) -> Answer:
        """Predict one image; errors are returned as values, never raised.

        Args:
            model: Name of a model of `models`.
            data: Contents of the image file.
            name: Name for error messages.
        """
        try:
            pixels = decode_upload(data, name, self._max_pixels)
            faces = self._recognizers[model].predict(pixels)
        except ApiError as error:
            return {"code": error.code, "message": error.message}
        except MemoryError:
            return {"code": "took_too_long", "message": f"{name}: not enough memory for this image; try again later"}
        except Exception as error:  # untrusted input must not end the worker or expose a traceback
            return {"code": "internal_error", "message": f"{name}: prediction failed ({type(error).__name__})"}
        height, width = pixels.shape[:2]
        return {"width": width, "height": height, "faces": [face.to_dict() for face in faces]}

    def _warm_up(self) -> None:
        """Run each model once, so that the first request does not pay for lazy initialization."""
        import numpy as np

        for recognizer in self._recognizers.values():
            recognizer.predict(np.zeros((96, 96, 3), np.uint8))


def _public_names(models: tuple[str, ...]) -> dict[str, str]:
    """Return the path or name of each model by its public name, which contains no path."""
    from fer_lmdb.models.registry import DEFAULT_MODEL, list_pretrained

    if not models:
        others = (name for name in list_pretrained() if name != DEFAULT_MODEL)
        return {name: name for name in (DEFAULT_MODEL, *others)}
    named: dict[str, str] = {}
    for path in models:
        name = stem = Path(path).stem or "model"
        number = 1
        while name in named:
            number += 1
            name = f"{stem}-{number}"
        named[name] = path
    return named


def _describe(name: str, path: str) -> dict[str, Any]:
    from fer_lmdb.models.registry import load_model

    model = load_model(path)
    evaluations = model.metadata.evaluations
    return {
        "name": name,
        "net": model.name,
        "classes": list(model.scheme.classes),
        "parameters": model.parameters,
        "figures": [{key: each.get(key) for key in PUBLIC_METRICS} for each in evaluations],
    }
