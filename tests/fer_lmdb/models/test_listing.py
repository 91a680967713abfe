from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import prototxt_like as pl
from fer_lmdb.cli import main
from fer_lmdb.models.listing import ZOO_RESULTS, list_models, to_markdown


@pytest.fixture(scope="module")
def rows():
    return list_models()


def test_every_net_of_the_zoo_is_listed_with_its_parameters(rows):
    assert {row["net"] for row in rows} == set(pl.zoo.names())
    assert all(row["parameters"] > 0 for row in rows)


def test_every_shipped_model_has_a_figure(rows):
    shipped = [row for row in rows if row["shipped"]]
    assert shipped
    assert all(row["figures"] for row in shipped)


def test_every_figure_has_split_n_and_interval(rows):
    for row in rows:
        for figure in row["figures"]:
            assert figure["split"] in ("val", "test")
            assert (
                figure["n"] == 3589 if len(row["classes"]) == 7 else 3500 < figure["n"] < 3589
            )  # FER+ leaves some out
            assert figure["ci95"][0] < figure["accuracy"] < figure["ci95"][1]


def test_what_is_measured_and_not_shipped_says_how_it_was_trained(rows):
    measured = json.loads(ZOO_RESULTS.read_text(encoding="utf-8"))
    assert set(measured) <= set(pl.zoo.names())
    for row in rows:
        if row["figures"] and not row["shipped"]:
            assert "seed" in row["trained"]
            assert "epochs" in row["trained"]
            assert {figure["split"] for figure in row["figures"]} == {"val"}  # test is opened for what is published


def test_the_page_of_the_documentation_is_current(rows):
    page = Path(__file__).resolve().parents[3] / "docs" / "models.md"
    assert page.read_text(encoding="utf-8") == to_markdown(rows), (
        "run: python -m fer_lmdb.models.listing docs/models.md"
    )


def test_the_table_fits_a_terminal_and_names_split_and_n(capsys):
    with pytest.raises(SystemExit):
        main(["models"])
    lines = capsys.readouterr().out.splitlines()
    assert max(len(line.rstrip()) for line in lines) <= 80
    (first,) = (line for line in lines if line.lstrip().startswith("face_emotion_net"))
    assert re.search(r"(val|test) \d\d\.\d\d% of 3,589, 1 view", first)
    assert any(
        line.split()[0] == "resnet34" and line.rstrip().endswith("not trained yet") for line in lines if line.strip()
    )


def test_the_command_keeps_the_contract(capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["models", "--json"])
    assert exit_.value.code == 0
    for row in json.loads(capsys.readouterr().out):
        assert set(row) == {"name", "net", "shipped", "classes", "parameters", "trained", "figures"}
