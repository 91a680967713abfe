"""Line numbers of layers in prototxt text, for error messages."""

from __future__ import annotations

import os
import re
from pathlib import Path

_TOKEN = re.compile(r"""#[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|[{}]|\w+""")


def layer_position(path: str | os.PathLike[str], layer_name: str) -> str:
    """Return ``file:line`` of the first layer with a name, or only the file if it is not found or not text.

    Args:
        path: Path of a prototxt.
        layer_name: Name of the layer.
    """
    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return str(path)
    line = layer_line(text, layer_name)
    return str(path) if line is None else f"{path}:{line}"


def layer_line(text: str, layer_name: str) -> int | None:
    """Return the line on which the first layer with a name begins, counted from 1, or None if there is none."""
    depth, start, before = 0, 0, ["", ""]
    for found in _TOKEN.finditer(text):
        token = found[0]
        if token.startswith("#"):
            continue
        if token == "{":
            if depth == 0 and before[-1] in ("layer", "layers"):
                start = found.start()
            depth += 1
        elif token == "}":
            depth -= 1
        elif depth in (1, 2) and before[-1] == "name" and token[1:-1] == layer_name:
            return text.count("\n", 0, start) + 1
        before = [before[-1], token]
    return None
