"""The notebook of docs/notebooks runs from top to bottom."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

NOTEBOOK = Path(__file__).parents[2] / "docs" / "notebooks" / "first-steps.ipynb"


def run_cell(source: str, namespace: dict[str, Any]) -> Any:
    """Run a cell as Jupyter does; return the value of its last line if that is an expression."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, str(NOTEBOOK), "exec"), namespace)
    if last is None:
        return None
    return eval(compile(ast.Expression(last.value), str(NOTEBOOK), "eval"), namespace)


@pytest.fixture(scope="module")
def cells() -> list[str]:
    document = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in document["cells"] if cell["cell_type"] == "code"]


def test_every_cell_runs_and_shows_its_result(cells: list[str], tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {}
    shown = [value for cell in cells if (value := run_cell(cell, namespace)) is not None]
    assert [type(value).__name__ for value in shown] == [
        "DataSet",
        "TrainResult",
        "EvaluationResult",
        "FacePrediction",
        "Image",
    ]
    assert all(value._repr_html_().lstrip().startswith("<") for value in shown[:-1])
    assert namespace["result"].n == 70
    assert namespace["faces"][0].best == "happy"
    saved = np.asarray(Image.open(tmp_path / "first-steps" / "astronaut-annotated.png"))
    assert saved.shape[0] == 512
    assert (saved[:, :512] != namespace["photo"]).any()


def test_the_notebook_is_stored_without_outputs() -> None:
    document = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert [cell for cell in document["cells"] if cell.get("outputs") or cell.get("execution_count")] == []
