"""``fer-lmdb report``: output folder, messages, invalid usage."""

from __future__ import annotations

import json
import shutil

import pytest
from click.testing import CliRunner

from fer_lmdb.cli import cli
from fer_lmdb.reporting.report import report


def run(*arguments):
    return CliRunner().invoke(cli, ["report", *map(str, arguments)], prog_name="fer-lmdb")


def test_report_inside_the_data_set(stripes_data, tmp_path) -> None:
    data = shutil.copytree(stripes_data, tmp_path / "stripes")
    result = run(data, "--faces", "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["report"] == str(data / "report" / "index.html")
    assert document["kind"] == "data set"
    assert document["splits"]["val"]["count"] == 40
    assert list(document["missing"]) == ["Contact sheet"]
    page = (data / "report" / "index.html").read_text()
    assert f"fer-lmdb report {data} --faces" in page
    assert "built with --detector none" in page


def test_missing_elements_are_printed_to_stderr(trained, tmp_path, monkeypatch) -> None:
    shutil.copytree(trained.run.path, tmp_path / "runs" / "mine")
    config = json.loads((tmp_path / "runs" / "mine" / "run.json").read_text())
    config["options"]["data"] = "data/gone"
    (tmp_path / "runs" / "mine" / "run.json").write_text(json.dumps(config))
    (tmp_path / "runs" / "mine" / "evaluations.jsonl").unlink(missing_ok=True)  # other tests may have evaluated the run
    monkeypatch.chdir(tmp_path)
    result = run("mine", "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("runs/mine/report/index.html and ")
    assert "Missing: Confusion matrix, Per class" in result.stderr
    assert "data/gone was not found" in result.stderr
    assert (tmp_path / "runs/mine/report/loss.svg").is_file()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["RUN", "--faces"], "--faces and --source apply to data sets"),
        (["DATA", "--data", "x"], "--data applies to runs"),
        (["DATA", "--source", "x"], "--source requires --faces"),
    ],
)
def test_options_of_the_other_kind_are_usage_errors(arguments, words, trained, stripes_data) -> None:
    paths = {"RUN": trained.run.path, "DATA": stripes_data}
    result = run(*(paths.get(word, word) for word in arguments))
    assert result.exit_code == 2
    assert words in result.stderr


def test_foreign_folder_is_not_replaced(stripes_data, tmp_path) -> None:
    (tmp_path / "letter.txt").write_text("keep")
    result = run(stripes_data, "--out", tmp_path)
    assert result.exit_code == 1
    assert "was not created by fer-lmdb" in result.stderr
    assert (tmp_path / "letter.txt").read_text() == "keep"


@pytest.mark.parametrize("path", ["nothing", "."])
def test_path_that_is_neither_run_nor_data_set(path, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(path)
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "neither a run (no run.json found) nor a data set" in result.stderr


def test_missing_source(stripes_data, tmp_path) -> None:
    result = run(stripes_data, "--faces", "--source", tmp_path / "gone.csv")
    assert result.exit_code == 1
    assert "gone.csv not found" in result.stderr


def test_command_shown_on_the_page(stripes_data, tmp_path) -> None:
    data = shutil.copytree(stripes_data, tmp_path / "data x")
    assert report(data, faces=True, seed=3).command == f"fer-lmdb report '{data}' --faces --seed 3"
