"""``fer-lmdb inspect``: text and JSON output, exit codes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import pytest

from fer_lmdb.cli import main
from prototxt_like import zoo

NET = zoo.path("face_emotion_net")


def run(arguments, capsys) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return int(stopped.value.code or 0), captured.out, captured.err


def test_output_of_each_kind(stripes_data: Path, trained, capsys) -> None:
    folder = trained.run.path
    for path, words in {
        stripes_data: "neutral",
        stripes_data / "val_lmdb": "1 x 48 x 48 (40)",
        stripes_data / "mean.binaryproto": "1 x 48 x 48",
        NET / "train_val.prototxt": "conv1/bn",
        NET / "solver.prototxt": "multistep",
        folder: "epochs",
        folder / "best.safetensors": "fc3/0",
    }.items():
        code, out, err = run(["inspect", path], capsys)
        assert (code, err) == (0, "")
        assert words in out
        code, out, err = run(["inspect", path, "--verify", "--json"], capsys)
        assert (code, err) == (0, "")
        assert json.loads(out)["problems"] == []


def test_opencv_version_of_a_data_set(stripes_data: Path, capsys) -> None:
    _, out, _ = run(["inspect", stripes_data], capsys)
    assert f"OpenCV {cv2.__version__}" in out


def test_exit_code_of_a_damaged_data_set(stripes_data: Path, tmp_path: Path, capsys) -> None:
    data = shutil.copytree(stripes_data, tmp_path / "data")
    shutil.rmtree(data / "test_lmdb")
    code, out, _ = run(["inspect", data, "--verify"], capsys)
    assert code == 1
    assert "PROBLEM  test: cannot read" in out
    code, out, _ = run(["inspect", data, "--verify", "--json"], capsys)
    assert code == 1
    assert len(json.loads(out)["problems"]) == 1


def test_unreadable_path_is_one_line(tmp_path: Path, capsys) -> None:
    code, out, err = run(["inspect", tmp_path / "nowhere"], capsys)
    assert (code, out) == (1, "")
    assert err.startswith(f"Error: {tmp_path}/nowhere: not found")
    assert err.count("\n") == 1


def test_duplicates_and_drawing(stripes_data: Path, tmp_path: Path, capsys) -> None:
    code, out, err = run(["inspect", stripes_data, "--duplicates", "--draw", tmp_path / "a.png"], capsys)
    assert code == 0
    assert "also in train" in out
    assert (tmp_path / "a.png").stat().st_size > 1000
    assert "Image:" in err


@pytest.mark.parametrize("flags", [["--model", "x"], ["--data", "x"], ["--duplicates", "--data", "x"]])
def test_wrong_usage(stripes_data: Path, capsys, flags: list[str]) -> None:
    assert run(["inspect", stripes_data, *flags], capsys)[0] == 2
