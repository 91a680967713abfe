"""`fer-lmdb demo`: each step runs as a command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from fer_lmdb.cli import cli, demo_steps
from fer_lmdb.cli.demo_steps import Demo, contact_sheet
from fer_lmdb.io.images import read_image


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """Folder, stdout and stderr of a demo with few faces and one epoch."""
    folder = tmp_path_factory.mktemp("demo") / "here"
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch)
        result = CliRunner().invoke(cli, ["demo", "--out", str(folder), "--epochs", "1"])
    assert result.exit_code == 0, result.output
    return folder, result.stdout, result.stderr


def shrink(patch: pytest.MonkeyPatch) -> None:
    for name, count in (("TRAIN_FACES", 140), ("VAL_FACES", 35), ("TEST_FACES", 28)):
        patch.setattr(demo_steps, name, count)


def test_the_demo_writes_images_data_and_model(short: tuple[Path, str, str]) -> None:
    folder, _, _ = short
    assert read_image(folder / "astronaut-annotated.png").shape[:2] == (512, 512)
    assert read_image(folder / "curves.png").shape[1] > 1000
    assert read_image(folder / "faces.png").shape == (7 * 48, 14 * 48, 3)
    assert (folder / "data" / "manifest.json").is_file()
    assert (folder / "run" / "best.safetensors").is_file()


def test_each_command_is_printed_before_it_runs(short: tuple[Path, str, str]) -> None:
    folder, printed, _ = short
    shown = [line[2:].split() for line in printed.splitlines() if line.startswith("$ ")]
    assert [words[:2] for words in shown] == [["fer-lmdb", name] for name in ("build", "train", "evaluate", "predict")]
    demo = Demo(folder, epochs=1)
    assert [words[1:] for words in shown] == [demo.build(), demo.train(), demo.evaluate(), demo.predict()]


def test_the_demo_ends_with_the_commands_for_real_data(short: tuple[Path, str, str]) -> None:
    _, printed, said = short
    assert printed.index("Done in") < printed.index("fer-lmdb build fer2013.csv") < printed.index("--epochs 150")
    assert said.splitlines()[-1] == "Next: fer-lmdb predict YOUR-PHOTO.jpg --save annotated.png"


def test_a_second_demo_with_json(short: tuple[Path, str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, _, _ = short
    shrink(monkeypatch)
    result = CliRunner().invoke(cli, ["demo", "--out", str(folder), "--epochs", "1", "--json"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["evaluate"]["n"] == 28
    assert document["train"]["finished"] is True
    assert document["predict"]["faces"][0]["expression"]
    assert document["build"]["splits"]["train"]["count"] == 140
    assert Path(document["curves"]).is_file()


def test_a_folder_with_other_files_is_not_changed(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("precious")
    result = CliRunner().invoke(cli, ["demo", "--out", str(tmp_path)])
    assert result.exit_code == 1
    assert "is not empty and was not written by demo; pass another folder with --out" in result.stderr
    assert (tmp_path / "run" / "mine.txt").read_text() == "precious"


def test_the_trained_model_predicts_if_there_is_no_pretrained_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_steps, "list_pretrained", list)
    assert Demo(Path("d")).predict()[1:4] == ["d/astronaut.png", "--model", "d/run"]


def test_the_contact_sheet_has_a_row_for_each_class() -> None:
    assert contact_sheet(0, 3).shape == (7 * 48, 3 * 48)
