"""Commands never change a byte that they were not told to replace, whatever --force says."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from fer_lmdb.cli import cli
from fer_lmdb.data.sources.synthetic import write_synthetic_csv
from fer_lmdb.io.images import write_image
from fer_lmdb.labels import FER2013

sys.path.insert(0, str(Path(__file__).parents[1] / "io"))
from foreign import unchanged

GRAY = np.full((48, 48), 90, np.uint8)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def rejected(folder: Path, words: str, *arguments: object) -> None:
    """Run a command, which fails with these words in its last line and changes nothing below a folder."""
    with unchanged(folder):
        result = run(*arguments)
        assert result.exit_code == 1, result.output
        assert words in result.stderr.splitlines()[-1]
        assert "Traceback" not in result.stderr


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data set built from a csv."""
    write_synthetic_csv(tmp_path / "faces.csv", 14, 7, 7, 0)
    result = run("build", tmp_path / "faces.csv", "--detector", "none", "--out", tmp_path / "data")
    assert result.exit_code == 0, result.output
    return tmp_path / "data"


def test_photographs_inside_a_data_set_survive_build(data: Path) -> None:
    for name in FER2013.classes:
        for number in range(4):
            write_image(data / "photos" / name / f"{number}.png", GRAY + number)
    options = ("--detector", "none", "--out", data, "--force")
    rejected(data, "is or contains an input", "build", data / "photos", *options)
    rejected(data, "in this data set was not created by fer-lmdb", "build", data.parent / "faces.csv", *options)


def test_build_does_not_replace_its_source(data: Path, tmp_path: Path) -> None:
    (tmp_path / "data" / "train_lmdb" / "faces.csv").hardlink_to(tmp_path / "faces.csv")
    source = tmp_path / "data" / "train_lmdb" / "faces.csv"
    rejected(tmp_path, "is or contains an input", "build", source, "--detector", "none", "--out", data, "--force")


def test_an_older_data_set_is_replaced_with_force(data: Path, tmp_path: Path) -> None:
    report = run("report", data)
    assert report.exit_code == 0, report.output
    options = ("--detector", "none", "--out", data, "--seed", "1")
    rejected(tmp_path, "exists; replace it with --force", "build", tmp_path / "faces.csv", *options)
    assert run("build", tmp_path / "faces.csv", *options, "--force").exit_code == 0
    assert json.loads((data / "manifest.json").read_text())["seed"] == 1


def test_images_of_a_user_survive_build_images(data: Path, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "train_list.txt").write_text("cat.png 0\n")
    write_image(tmp_path / "images" / "cat.png", GRAY)
    command = ("build", tmp_path / "faces.csv", "--detector", "none", "--images-only", "--force")
    rejected(tmp_path, "was not created by fer-lmdb", *command, "--images", tmp_path / "images")


def test_join_does_not_replace_an_input(data: Path, tmp_path: Path) -> None:
    assert run("build", tmp_path / "faces.csv", "--detector", "none", "--out", tmp_path / "b").exit_code == 0
    rejected(tmp_path, "is or contains an input", "join", data, tmp_path / "b", "--out", data, "--force")
    (tmp_path / "link").symlink_to(data)
    rejected(tmp_path, "is or contains an input", "join", data, tmp_path / "b", "--out", tmp_path / "link", "--force")


@pytest.mark.parametrize("csv", ["emotion,pixels,Usage\n", None])
def test_a_run_of_a_user_survives_demo(tmp_path: Path, csv: str | None) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text('{"options": {}}')
    (tmp_path / "run" / "best.safetensors").write_text("weights of a week")
    if csv is not None:
        (tmp_path / "faces.csv").write_text(csv)
    rejected(tmp_path, "was not written by demo", "demo", "--out", tmp_path)


def test_files_of_a_user_in_the_folder_of_a_demo(tmp_path: Path) -> None:
    from fer_lmdb.cli import demo_steps

    demo = demo_steps.Demo(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("TRAIN_FACES", "VAL_FACES", "TEST_FACES"):
            patch.setattr(demo_steps, name, 7)
        demo.draw_faces()
    demo.prepare_folder()
    for name, words in (
        ("faces.csv", "faces.csv has changed and was not written by demo"),
        ("astronaut.png", "exists and was not written by fer-lmdb"),
        ("run/run.json", "run.json in this run was not created by fer-lmdb"),
    ):
        earlier = (tmp_path / name).read_bytes() if (tmp_path / name).exists() else None
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine")
        rejected(tmp_path, words, "demo", "--out", tmp_path)
        if earlier is None:
            (tmp_path / name).unlink()
        else:
            (tmp_path / name).write_bytes(earlier)


def test_a_folder_with_a_report_of_another_program_survives_report(data: Path, tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "report.json").write_text('{"title": "Thesis"}')
    write_image(tmp_path / "project" / "photo.png", GRAY)
    rejected(tmp_path, "was not created by fer-lmdb", "report", data, "--out", tmp_path / "project")
    rejected(tmp_path, "is or contains an input", "report", data, "--out", data)
