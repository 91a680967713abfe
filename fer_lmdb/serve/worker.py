"""The process that decodes pictures and recognises expressions; nothing else in the service touches pixels.

It is spawned, speaks over one pipe, and ends when the pipe does.

    service -> worker   (model's name, bytes of the file, what to call it)
    worker -> service   {"width", "height", "faces"} or {"code", "message"}
"""

from __future__ import annotations

import signal
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer_lmdb.errors import FerLmdbError
from fer_lmdb.serve.decoding import decode_upload
from fer_lmdb.serve.http_errors import ApiError
from fer_lmdb.serve.settings import ServerSettings

if TYPE_CHECKING:
    from fer_lmdb.inference.recognizer import Recognizer

Answer = dict[str, Any]
PUBLIC_METRICS = ("split", "n", "accuracy", "ci95", "tta")
"""What strangers see of an evaluation; the rest names folders of the machine that trained."""


def worker_main(connection: Connection, settings: ServerSettings) -> None:
    """Load the models, say so, then answer until the service hangs up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the service ends its workers itself
    try:
        worker = Worker(settings)
    except (FerLmdbError, OSError) as error:
        connection.send({"failed": " ".join(str(error).split()) or type(error).__name__})
        return
    connection.send({"models": worker.models})
    while True:
        try:
            job = connection.recv()
        except EOFError:
            return
        connection.send(worker.handle(*job))


class Worker:
    """Recognisers by name, and answers that are always plain values.

    Args:
        settings: which models, and the limit of pixels.

    Raises:
        FerLmdbError: a model or detector cannot be loaded.
    """

    def __init__(self, settings: ServerSettings) -> None:
        from fer_lmdb.inference.recognizer import Recognizer

        self._max_pixels = settings.max_pixels
        self._recognizers: dict[str, Recognizer] = {}
        self.models = []
        for name, where in _public_names(settings.models).items():
            self._recognizers[name] = Recognizer(where, detector=settings.detector, device=settings.device)
            self.models.append(_describe(name, where))
        self._warm_up()

    def handle(self, model: str, data: bytes, name: str) -> Answer:
        """Recognise one picture; whatever goes wrong is an answer, too."""
        try:
            pixels = decode_upload(data, name, self._max_pixels)
            faces = self._recognizers[model].predict(pixels)
        except ApiError as refusal:
            return {"code": refusal.code, "message": refusal.message}
        except MemoryError:
            return {"code": "took_too_long", "message": f"{name}: there is not enough memory for it just now"}
        except Exception as error:  # a stranger's picture must never end the service, nor show it a traceback
            return {"code": "internal_error", "message": f"{name}: could not be recognised ({type(error).__name__})"}
        height, width = pixels.shape[:2]
        return {"width": width, "height": height, "faces": [face.to_dict() for face in faces]}

    def _warm_up(self) -> None:
        """Run each model once, so that the first visitor does not wait for it."""
        import numpy as np

        for recognizer in self._recognizers.values():
            recognizer.predict(np.zeros((96, 96, 3), np.uint8))


def _public_names(models: tuple[str, ...]) -> dict[str, str]:
    """Return where each model lies by the name that strangers may see: never a path of this machine."""
    from fer_lmdb.models.model import DEFAULT_MODEL, list_pretrained

    if not models:
        others = (name for name in list_pretrained() if name != DEFAULT_MODEL)
        return {name: name for name in (DEFAULT_MODEL, *others)}
    named: dict[str, str] = {}
    for where in models:
        name = wish = Path(where).stem or "model"
        number = 1
        while name in named:
            number += 1
            name = f"{wish}-{number}"
        named[name] = where
    return named


def _describe(name: str, where: str) -> dict[str, Any]:
    from fer_lmdb.models import model as models

    model = models.load_model(where)
    figures = [{key: one.get(key) for key in PUBLIC_METRICS} for one in model.metadata.get("figures", [])]
    return {
        "name": name,
        "net": model.name,
        "classes": list(model.scheme.classes),
        "parameters": model.parameters,
        "figures": figures,
    }
