"""JSON objects in the files of a run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fer_lmdb.errors import RunError


def read_records(path: Path) -> list[dict[str, Any]]:
    """Return the JSON objects of a file with one per line; an empty list if there is no file.

    Raises:
        RunError: If a line is not a JSON object.
    """
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        return [parse_object(line) for line in text.splitlines()]
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{path}: damaged ({error}); delete it to continue without it") from error


def parse_object(text: str) -> dict[str, Any]:
    """Return a JSON object.

    Raises:
        ValueError: If the text is not JSON or not an object.
    """
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError(f"found {type(value).__name__}, expected an object")
    return value


def check_objects(table: Mapping[str, Any], *names: str) -> None:
    """Check that entries are objects or missing.

    Raises:
        ValueError: If one is not.
    """
    for name in names:
        if not isinstance(value := table.get(name, {}), dict):
            raise ValueError(f'"{name}" is {type(value).__name__}, expected an object')
