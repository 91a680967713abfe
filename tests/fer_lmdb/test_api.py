"""docs/api.md: its code runs, and it documents every public name."""

from __future__ import annotations

import importlib
import inspect
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import fer_lmdb
from fer_lmdb import FacePrediction, Recognizer
from fer_lmdb.data.sources.synthetic import write_synthetic_csv
from fer_lmdb.io.images import write_image
from fer_lmdb.io.video_writer import VideoWriter

PAGE = Path(__file__).parents[2] / "docs" / "api.md"


def test_the_code_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    from skimage import data

    write_image(tmp_path / "photo.jpg", data.astronaut())
    write_synthetic_csv(tmp_path / "faces.csv", 70, 21, 21)
    with VideoWriter(tmp_path / "clip.mp4") as video:
        for index in range(3):
            video.add(data.astronaut()[:300, :300], index / 25)
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    assert len(blocks) == 12
    monkeypatch.chdir(tmp_path)
    exec(compile("\n".join(blocks), str(PAGE), "exec"), {"__name__": "page"})
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"happy \d+% at \(\d+\.\d+, .*\)", lines[0])
    assert [line.split()[1] for line in lines if re.match(r"0\.\d+ \d ", line)] == ["1", "1", "1"]
    assert lines[-1] == "gone.jpg: does not exist"
    for path in ("annotated.png", "runs/first/best.safetensors", "report/index.html", "caffe/deploy.prototxt"):
        assert (tmp_path / path).is_file(), path


def test_the_page_documents_every_public_name() -> None:
    documented = set(re.findall(r"\w+", PAGE.read_text(encoding="utf-8")))
    assert set(fer_lmdb.__all__) <= documented


def test_the_page_documents_every_attribute_of_a_face() -> None:
    public = {name for name in vars(FacePrediction) if not name.startswith("_")} | set(FacePrediction.__annotations__)
    documented = set(re.findall(r"`([a-z_]+)(?:\(\))?`", PAGE.read_text(encoding="utf-8")))
    assert public <= documented


def test_the_arguments_of_the_recognizer_are_stable() -> None:
    parameters = inspect.signature(Recognizer).parameters
    options = ["detector", "min_face", "detector_threshold", "max_faces", "largest", "rotate"]
    options += ["min_probability", "tta", "align"]
    options += ["ensemble_weights", "ensemble_temperature", "color", "device", "precision"]
    assert list(parameters) == ["model", *options]
    assert {name for name, one in parameters.items() if one.kind is one.KEYWORD_ONLY} == set(options)
    assert all(one.default is not one.empty for one in parameters.values())
    assert list(inspect.signature(Recognizer.predict).parameters) == ["self", "image", "color"]
    assert list(inspect.signature(Recognizer.predict_many).parameters) == ["self", "images", "color"]


def test_no_module_shadows_a_public_name() -> None:
    before = {name: getattr(fer_lmdb, name) for name in fer_lmdb.__all__}
    for module in pkgutil.walk_packages(fer_lmdb.__path__, "fer_lmdb."):
        if module.name != "fer_lmdb.__main__":
            try:
                importlib.import_module(module.name)
            except ImportError as error:  # an optional package
                assert not (error.name or "").startswith("fer_lmdb"), module.name
    assert {name: getattr(fer_lmdb, name) for name in fer_lmdb.__all__} == before
    assert {name for name in fer_lmdb.__all__ if inspect.ismodule(before[name])} == {"errors"}


def test_importing_the_package_loads_nothing_heavy_and_changes_no_environment() -> None:
    assert (Path(fer_lmdb.__file__).parent / "py.typed").is_file()
    assert set(fer_lmdb.__all__) <= set(dir(fer_lmdb))
    code = (
        "import os; before = dict(os.environ)\n"
        "import fer_lmdb, sys; assert not {'torch', 'numpy'} & set(sys.modules); assert dict(os.environ) == before\n"
        "fer_lmdb.Recognizer, fer_lmdb.train, fer_lmdb.evaluate; assert 'OMP_WAIT_POLICY' not in os.environ"
    )
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0
    with pytest.raises(AttributeError, match="has no attribute 'NoSuchName'"):
        _ = fer_lmdb.NoSuchName
