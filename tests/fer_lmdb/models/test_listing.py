from __future__ import annotations

import json
import re
import runpy
from pathlib import Path

import pytest

import prototxt_like as pl
from fer_lmdb.cli import main
from fer_lmdb.models.listing import ZOO_RESULTS, list_models


@pytest.fixture(scope="module")
def rows():
    return list_models()


def test_every_net_of_the_zoo_is_listed_with_its_parameters(rows):
    assert {row["net"] for row in rows} == set(pl.zoo.names())
    assert all(row["parameters"] > 0 for row in rows)


def test_every_pretrained_model_has_a_result(rows):
    pretrained = [row for row in rows if row["shipped"]]
    assert pretrained
    assert all(row["figures"] for row in pretrained)


def test_every_result_has_split_n_and_interval(rows):
    for row in rows:
        for result in row["figures"]:
            assert result["split"] in ("val", "test")
            assert (
                result["n"] == 3589 if len(row["classes"]) == 7 else 3500 < result["n"] < 3589
            )  # FER+ drops some faces
            assert result["ci95"][0] < result["accuracy"] < result["ci95"][1]


def test_results_of_other_nets_include_the_training(rows):
    measured = json.loads(ZOO_RESULTS.read_text(encoding="utf-8"))
    assert set(measured) <= set(pl.zoo.names())
    for row in rows:
        if row["figures"] and not row["shipped"]:
            assert "seed" in row["trained"]
            assert "epochs" in row["trained"]
            assert {result["split"] for result in row["figures"]} == {"val"}  # test is for published models


def test_the_page_of_the_documentation_is_current(rows):
    root = Path(__file__).resolve().parents[3]
    models_page = runpy.run_path(str(root / "tools" / "write_docs.py"))["models_page"]
    assert (root / "docs" / "models.md").read_text(encoding="utf-8") == models_page(rows), "run: make docs"


def test_the_table_fits_a_terminal_and_contains_split_and_n(capsys):
    with pytest.raises(SystemExit):
        main(["models"])
    lines = capsys.readouterr().out.splitlines()
    assert max(len(line.rstrip()) for line in lines) <= 80
    (first,) = (line for line in lines if line.lstrip().startswith("face_emotion_net"))
    assert re.search(r"(val|test) \d\d\.\d\d%, N = 3,589, 1 view", first)
    assert any(
        line.split()[0] == "resnet34" and line.rstrip().endswith("not trained yet") for line in lines if line.strip()
    )


def test_the_json_rows_have_the_documented_keys(capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["models", "--json"])
    assert exit_.value.code == 0
    for row in json.loads(capsys.readouterr().out):
        assert set(row) == {"name", "net", "shipped", "classes", "parameters", "trained", "figures"}
