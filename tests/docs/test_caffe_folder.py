"""The commands of docs/caffe.md from a folder of Caffe's tools to a prediction and an export."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import cv2
import numpy as np
import pytest

import prototxt_like as pl
from fer_lmdb.cli import cli
from prototxt_like.io.datum_store import LmdbWriter

PAGE = Path(__file__).parents[2] / "docs" / "caffe.md"
BRIGHTNESS = {"angry": 40, "happy": 120, "neutral": 200}


def commands() -> list[list[str]]:
    section = (
        PAGE.read_text(encoding="utf-8").partition("## Train on a folder of Caffe's tools")[2].partition("\n## ")[0]
    )
    return [shlex.split(line)[1:] for line in re.findall(r"^    (fer-lmdb .*)$", section, re.M)]


def face(label: int, random: np.random.Generator) -> np.ndarray:
    """Return (48, 48, 3) uint8, blue, green, red."""
    noise = random.integers(-30, 30, (48, 48, 3))
    return (list(BRIGHTNESS.values())[label] + noise).clip(0, 255).astype(np.uint8)


def write_folder(folder: Path) -> None:
    random = np.random.default_rng(0)
    total = np.zeros((3, 48, 48))
    for split, count in (("train", 36), ("val", 12)):
        with LmdbWriter(folder / f"faces_{split}_lmdb", encoding="png") as writer:
            for number in range(count):
                image = face(number % 3, random).transpose(2, 0, 1)
                total += image if split == "train" else 0
                writer.append(f"{number}.png", image, number % 3)
    pl.write_mean((total / 36).astype(np.float32), folder / "mean.binaryproto")


def test_from_a_folder_of_caffe_to_a_prediction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_folder(tmp_path / "faces")
    cv2.imwrite("photo.png", face(2, np.random.default_rng(1)))
    outputs = {}
    for words in commands():
        json_option = ["--json"] if words[0] in ("evaluate", "predict", "inspect") else []
        cli(words + json_option, standalone_mode=False)
        outputs[words[0]] = capsys.readouterr().out
    assert list(outputs) == ["inspect", "train", "evaluate", "predict", "export"]
    assert json.loads(outputs["inspect"])["channels"] == 3
    assert json.loads(outputs["evaluate"])["classes"] == list(BRIGHTNESS)
    (found,) = json.loads(outputs["predict"])["faces"]
    assert set(found["probabilities"]) == set(BRIGHTNESS)
    deploy = pl.read_net("exported/deploy.prototxt")
    assert list(deploy.layer[0].input_param.shape[0].dim)[1] == 3
    assert sorted(path.name for path in Path("faces").rglob("*") if path.is_file()) == [
        "data.mdb",
        "data.mdb",
        "lock.mdb",
        "lock.mdb",
        "mean.binaryproto",
    ]
