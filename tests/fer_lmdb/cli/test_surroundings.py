"""Closed streams, pipes in place of files, dead displays, odd and over-long names."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from fer_lmdb.cli import cli
from fer_lmdb.cli.console import shell_word
from fer_lmdb.errors import ImageError, one_line
from fer_lmdb.inference.timeline import Timeline
from fer_lmdb.io.images import write_image
from fer_lmdb.results import FacePrediction, FramePrediction
from fer_lmdb.visualization import window
from fer_lmdb.visualization.window import DisplayWindow

ODD_NAMES = ("$x$_{a}", "$\\frac$", "100%s %(x)d", "[red]", "快乐😀", "a\nb", "\x1b[31mred", "-rf", "it's", "a b")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    write_image(tmp_path / "photo.png", np.full((64, 64, 3), 90, np.uint8))
    return tmp_path / "photo.png"


@pytest.mark.parametrize("closed", [(1,), (2,), (0, 1, 2)])
def test_closed_streams_do_not_become_outputs(photo: Path, tmp_path: Path, closed: tuple[int, ...]) -> None:
    """A file that is opened later must not get the descriptor of stdout, or results would be printed into it."""
    words = f'"{sys.executable}" -m fer_lmdb predict photo.png --detector none --csv faces.csv --save out.png'
    redirected = " ".join(("<&-", ">&-", "2>&-")[number] for number in closed)
    done = subprocess.run(["bash", "-c", f"{words} {redirected}"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    lines = (tmp_path / "faces.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["path", "photo.png"]
    with Image.open(tmp_path / "out.png") as image:
        image.verify()


def test_pipes_and_devices_are_rejected_at_once(tmp_path: Path) -> None:
    for name in ("pipe.csv", "pipe.mp4", "pipe.txt", "votes.csv"):
        os.mkfifo(tmp_path / name)
    (tmp_path / "faces.csv").write_text("emotion,pixels,Usage\n")
    out = ("--detector", "none", "--out", tmp_path / "data")
    for command, words in (
        (("build", tmp_path / "pipe.csv", *out), "found a pipe, socket or device, expected fer2013.csv"),
        (("build", tmp_path / "pipe.txt", *out), "found a pipe, socket or device, expected fer2013.csv"),
        (("build", "/dev/zero", *out), "found a pipe, socket or device, expected fer2013.csv"),
        (("build", tmp_path / "faces.csv", "--ferplus", tmp_path / "votes.csv", *out), "expected fer2013new.csv"),
        (("watch", tmp_path / "pipe.mp4", "--no-window", "--json"), "is a pipe, socket or device; expected a video"),
        (("predict", tmp_path / "pipe.mp4"), "is a pipe, socket or device; expected a video"),
    ):
        result = run(*command)
        assert result.exit_code == 1
        assert words in result.stderr


def test_a_dead_display_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Qt aborts the process that opens the first window."""
    monkeypatch.setattr(window.sys, "platform", "linux")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setenv("DISPLAY", ":4711")
    if window.can_open_window():
        pytest.skip("this OpenCV has no windows")
    with pytest.raises(ImageError, match="the display :4711 cannot be opened; check it with another program, or use"):
        DisplayWindow()


def test_words_for_the_shell_come_back_unchanged() -> None:
    for name in ODD_NAMES:
        word = shell_word(name)
        assert word.isprintable()
        echoed = subprocess.run(["bash", "-c", f"printf %s {word}"], capture_output=True, check=True).stdout
        assert echoed == os.fsencode(name)


def test_messages_are_one_printable_line() -> None:
    assert one_line(ValueError("a\nb \x1b[31mred \udce9 快乐😀")) == "a b \\x1b[31mred \\udce9 快乐😀"


def test_plots_show_names_as_they_are(tmp_path: Path) -> None:
    """Without formulas between dollar signs, and without a warning for a character that no font has."""
    face = FacePrediction((0, 0, 9, 9), 1.0, None, "$\\bad$", {"$\\bad$": 0.75, "快乐😀": 0.25}, id=1)
    for number, name in enumerate(ODD_NAMES):
        timeline = Timeline(("$\\bad$", "快乐😀"))
        timeline.add(FramePrediction(name, 0, 0.0, (face,)))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            timeline.draw(tmp_path / f"{number}.png", name)
        with Image.open(tmp_path / f"{number}.png") as image:
            assert image.size[0] > 500


def test_one_over_long_name_among_files_is_counted(photo: Path, tmp_path: Path) -> None:
    long = tmp_path / ("x" * 300 + ".png")
    result = run("predict", long, photo, "--detector", "none")
    assert result.exit_code == 1
    assert "1 of 2 files could not be read" in result.stderr
    assert "cannot be read: File name too long" in result.stderr
    assert "photo.png" in result.stdout
    for option in ("--csv", "--save"):
        result = run("predict", photo, "--detector", "none", option, long)
        assert result.exit_code == 1
        assert "File name too long" in result.stderr


def test_names_of_results_are_shortened(tmp_path: Path) -> None:
    name = "é" * 125 + ".png"
    write_image(tmp_path / "in" / name, np.full((64, 64, 3), 90, np.uint8))
    result = run(
        "predict", tmp_path / "in", "--detector", "none", "--save", tmp_path / "out", "--crops", tmp_path / "c"
    )
    assert result.exit_code == 0, result.output
    for folder in ("out", "c"):
        assert [path.suffix for path in (tmp_path / folder).iterdir()] == [".png"]


def test_odd_names_from_end_to_end(tmp_path: Path) -> None:
    for name in ODD_NAMES:
        write_image(tmp_path / "in" / f"{name}.png", np.full((64, 64, 3), 90, np.uint8))
    outputs = ("--save", tmp_path / "out", "--csv", tmp_path / "f.csv")
    result = run("predict", tmp_path / "in", "--detector", "none", *outputs)
    assert result.exit_code == 0, result.output
    assert sorted(path.stem for path in (tmp_path / "out").iterdir()) == sorted(ODD_NAMES)
    assert all(line.isprintable() for line in result.output.splitlines())
