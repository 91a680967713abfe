"""docs/api.md is true: its code runs, and the names on it are what they were."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import fer_lmdb
from fer_lmdb import FacePrediction, Recognizer
from fer_lmdb.io.images import write_image
from fer_lmdb.io.video_writer import VideoWriter

PAGE = Path(__file__).parents[2] / "docs" / "api.md"


def test_the_code_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    from skimage import data

    write_image(tmp_path / "photo.jpg", data.astronaut())
    with VideoWriter(tmp_path / "clip.mp4") as video:
        for index in range(3):
            video.add(data.astronaut()[:300, :300], index / 25)
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    assert len(blocks) == 8
    monkeypatch.chdir(tmp_path)
    exec(compile("\n".join(blocks), str(PAGE), "exec"), {"__name__": "page"})
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"happy \d+% at \(\d+\.\d+, .*\)", lines[0])
    assert [line.split()[1] for line in lines if re.match(r"0\.\d+ ", line)] == ["1", "1", "1"]
    assert lines[-1] == "gone.jpg: does not exist"
    assert (tmp_path / "annotated.png").is_file()


def test_every_attribute_of_a_face_stands_on_the_page() -> None:
    public = {name for name in vars(FacePrediction) if not name.startswith("_")} | set(FacePrediction.__annotations__)
    told = set(re.findall(r"`([a-z_]+)(?:\(\))?`", PAGE.read_text(encoding="utf-8")))
    assert public <= told


def test_the_arguments_are_stable() -> None:
    taken = inspect.signature(Recognizer).parameters
    assert list(taken) == [
        "model", "detector", "min_face", "min_probability", "tta", "ensemble_weights", "color", "device", "precision",
    ]  # fmt: skip
    assert {name for name, one in taken.items() if one.kind is one.KEYWORD_ONLY} == set(taken) - {"model"}
    assert all(one.default is not one.empty for one in taken.values())
    assert list(inspect.signature(Recognizer.predict).parameters) == ["self", "image", "color"]
    assert list(inspect.signature(Recognizer.predict_many).parameters) == ["self", "images", "color"]


def test_the_package_is_typed_and_imports_nothing_heavy() -> None:
    assert (Path(fer_lmdb.__file__).parent / "py.typed").is_file()
    assert {"Recognizer", "FacePrediction"} <= set(dir(fer_lmdb))
    code = "import fer_lmdb, sys; raise SystemExit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
    with pytest.raises(AttributeError, match="has no attribute 'Recogniser'"):
        _ = fer_lmdb.Recogniser
