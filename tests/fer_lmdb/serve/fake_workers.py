"""Fake worker for tests of the pool.

The image data selects the behavior: b"slow" (one second), b"hang", b"die", b"bad" (an error); anything else succeeds.
"""

from __future__ import annotations

import os
import time


def worker_main(connection, settings) -> None:
    if "broken" in settings.models:
        connection.send({"failed": "broken: not a readable .safetensors file"})
        return
    if "dead" in settings.models:
        os._exit(3)
    connection.send({"models": [{"name": "one", "classes": ["a", "b"]}, {"name": "two", "classes": ["a", "b"]}]})
    while True:
        try:
            model, data, name = connection.recv()
        except EOFError:
            return
        if data == b"die":
            os._exit(9)
        time.sleep({b"slow": 1.0, b"hang": 3600}.get(data, 0))
        if data == b"bad":
            connection.send({"code": "damaged_picture", "message": f"{name}: is damaged"})
        else:
            box = {"box": [1.0, 2.0, 3.0, 4.0], "score": 0.9, "landmarks": None, "expression": "a"}
            face = {**box, "probabilities": {"a": 0.75, "b": 0.25}}
            connection.send({"width": len(data), "height": len(model), "faces": [face]})
