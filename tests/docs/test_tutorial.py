"""The tutorial and the how-tos do what they say: their commands run, in their order, on small files."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import av
import numpy as np
import pytest
from click.testing import CliRunner
from skimage import data

import prototxt_like as pl
from fer_lmdb.cli import cli
from fer_lmdb.data.sources.synthetic import SyntheticFaces, write_synthetic_csv
from fer_lmdb.io.images import write_image

DOCS = Path(__file__).resolve().parents[2] / "docs"
#: They have tests of their own: the demo takes a minute, the others end with Ctrl-C or need a camera.
NOT_RUN = {"demo", "serve", "watch"}


def commands_of(page: Path) -> list[list[str]]:
    """Return what follows ``fer-lmdb`` in every indented line of a page, with short trainings."""
    lines = re.findall(r"^    .*?((?:[A-Z_]+=\S+ )*)fer-lmdb (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    found = []
    for variables, line in lines:
        if line.startswith("completion"):
            continue
        words = shlex.split(re.split(r" [|>&] ", f"{variables}{line}")[0], comments=True)
        found.append([re.sub(r"^\d+$", "1", word) if before == "--epochs" else word for before, word in pairs(words)])
    return [words for words in found if not NOT_RUN & set(words) and words[0] != "--version"]


def pairs(words: list[str]) -> list[tuple[str, str]]:
    return list(zip(["", *words], words, strict=False))


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """A folder with everything that the pages speak of."""
    monkeypatch.chdir(tmp_path)
    for folder in ("demo", "data", "holiday"):
        (tmp_path / folder).mkdir()
    write_synthetic_csv(tmp_path / "demo" / "faces.csv", 42, 21, 21)
    shutil.copy(tmp_path / "demo" / "faces.csv", tmp_path / "data" / "fer2013.csv")
    astronaut = np.ascontiguousarray(data.astronaut()[:256, 128:384])
    for name in ("demo/astronaut.png", "photo.jpg", "holiday/1.jpg"):
        write_image(tmp_path / name, astronaut)
    _write_own_images(tmp_path / "photos")
    _write_own_net(tmp_path)
    _write_clip(tmp_path / "clip.mp4", astronaut)
    return tmp_path


def _write_own_images(folder: Path) -> None:
    for sample in SyntheticFaces(70, 0, 0, seed=3):
        target = folder / SyntheticFaces.classes[sample.label] / f"{sample.row}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        write_image(target, sample.image)


def _write_own_net(folder: Path) -> None:
    files = pl.zoo.path("face_emotion_net")
    shutil.copytree(files, folder / "my-net")
    shutil.copy(files / "deploy.prototxt", folder)
    pl.save_weights(pl.Net(files / "deploy.prototxt"), folder / "weights.caffemodel")


def _write_clip(path: Path, image: np.ndarray) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = image.shape[1], image.shape[0], "yuv420p"
        for _ in range(4):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())


def run(words: list[str]) -> None:
    variables = dict(word.split("=", 1) for word in words if re.match(r"[A-Z_]+=", word))
    words = [word for word in words if not re.match(r"[A-Z_]+=", word)]
    result = CliRunner().invoke(cli, words, input="holiday/1.jpg\n", env=variables)
    assert result.exit_code == 0, f"fer-lmdb {' '.join(words)}\n{result.output}\n{result.exception!r}"


def test_the_commands_of_the_tutorial_run(project):
    pytest.importorskip("onnx", reason="export --format onnx needs the extra [onnx]")
    commands = commands_of(DOCS / "tutorial.md")
    assert {words[0] for words in commands} >= {"build", "inspect", "train", "evaluate", "report", "predict", "export"}
    for words in commands:
        run(words)
    for made in ("data/drawn/manifest.json", "runs/drawn/best.safetensors", "runs/drawn/report", "drawn.onnx"):
        assert (project / made).exists(), made


def test_the_commands_of_the_how_tos_run(project):
    run(["build", "data/fer2013.csv", "--detector", "none"])
    for page in ("own-faces.md", "scripts.md", "video.md"):
        for words in commands_of(DOCS / "howto" / page):
            run(words)
    shutil.rmtree(project / "runs" / "mine")
    for words in commands_of(DOCS / "howto" / "caffe-model.md"):
        run(words)
    assert (project / "mine-caffe" / "deploy.prototxt").exists()
