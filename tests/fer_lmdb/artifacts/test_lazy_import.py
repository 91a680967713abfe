"""Neither completion nor predict with a pretrained model imports pydantic."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from safetensors import safe_open

from fer_lmdb.artifacts.base import parse_texts
from fer_lmdb.artifacts.model_file import ENCODED, ModelTexts
from fer_lmdb.errors import ModelError
from fer_lmdb.models.model import PRETRAINED_DIR

PREDICT = """
import sys
import numpy as np
from fer_lmdb.inference.recognizer import Recognizer
Recognizer(detector="none", device="cpu").predict(np.zeros((48, 48, 3), np.uint8))
print(sorted(name for name in sys.modules if name.startswith("pydantic")))
"""
COMPLETE = """
import sys
import click
from fer_lmdb.cli import COMMANDS, cli
for name in COMMANDS:
    if name not in ("serve", "demo"):
        cli.get_command(click.Context(cli), name)
print(sorted(name for name in sys.modules if name.startswith(("pydantic", "torch"))))
"""


@pytest.mark.parametrize("script", [PREDICT, COMPLETE], ids=["predict", "commands"])
def test_pydantic_is_not_imported(script: str) -> None:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("path", sorted(PRETRAINED_DIR.glob("*.safetensors")), ids=lambda path: path.stem)
def test_models_of_the_package_match_the_schema_that_their_reader_skips(path: Path) -> None:
    with safe_open(path, framework="pt") as file:
        parse_texts(ModelTexts, file.metadata(), ENCODED, path.name, ModelError, "export it again")
