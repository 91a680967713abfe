"""The command `fer-lmdb watch`."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from fer_lmdb.cli import cli
from fer_lmdb.io import camera
from fer_lmdb.io.video import VideoReader
from fer_lmdb.io.video_writer import VideoWriter


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from skimage import data

    path = tmp_path_factory.mktemp("watch") / "clip.mp4"
    with VideoWriter(path) as video:
        for index in range(15):
            video.add(data.astronaut()[20:220, 120:320], index / 25)
    return path


@pytest.fixture
def run(trained):
    def invoke(*arguments: object) -> Result:
        words = ["watch", *map(str, arguments), "--model", str(trained.run.path), "--device", "cpu"]
        return CliRunner().invoke(cli, words)

    return invoke


def test_without_a_window_into_a_file(run, clip: Path, tmp_path: Path) -> None:
    result = run(clip, "--no-window", "--save", tmp_path / "out.mp4")
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("15 frames, ")
    with VideoReader(tmp_path / "out.mp4") as video:
        assert len(list(video)) == 15


def test_the_input_is_not_overwritten(run, clip: Path) -> None:
    before = clip.read_bytes()
    result = run(clip, "--no-window", "--save", clip)
    assert result.exit_code == 1
    assert "would overwrite an input file" in result.stderr
    assert clip.read_bytes() == before


def test_json_lines(run, clip: Path) -> None:
    documents = [json.loads(line) for line in run(clip, "--no-window", "--json").stdout.splitlines()]
    assert [document["frame"] for document in documents] == list(range(15))
    assert {face["id"] for document in documents for face in document["faces"]} == {1}


def test_no_output_is_a_usage_error(run, clip: Path) -> None:
    result = run(clip, "--no-window")
    assert result.exit_code == 2
    assert "--no-window without --save, --csv or --json has no output" in result.stderr


def test_a_table_of_all_faces(run, clip: Path, tmp_path: Path) -> None:
    result = run(clip, "--no-window", "--csv", tmp_path / "faces.csv", "--largest", "--fps", 5)
    assert result.exit_code == 0, result.output
    with (tmp_path / "faces.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["frame"], row["face"], row["detected"]) for row in rows] == [
        ("0", "1", "True"), ("5", "1", "True"), ("10", "1", "True"),
    ]  # fmt: skip
    assert all(float(row["unsmoothed_happy"]) <= 1 for row in rows)


def test_a_file_address_is_not_overwritten(run, clip: Path) -> None:
    before = clip.read_bytes()
    result = run(clip.as_uri(), "--no-window", "--save", clip)
    assert result.exit_code == 1
    assert clip.read_bytes() == before


def test_no_camera_and_no_display_are_errors(run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(camera, "list_cameras", dict)
    result = run("0", "--no-window", "--save", tmp_path / "out.mp4")
    assert result.exit_code == 1
    assert (
        result.stderr
        == "Error: camera 0 does not exist; no camera found; use a video file or a stream URL (rtsp://...)\n"
    )
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert "no display available" in run("0").stderr


def test_it_stops_after_the_duration(run, clip: Path, tmp_path: Path) -> None:
    result = run(clip, "--no-window", "--save", tmp_path / "out.mp4", "--duration", "0.0001")
    assert result.exit_code == 0
    assert result.stderr.startswith("1 frame, ")


def test_the_recorded_video_is_complete_if_the_source_fails(run, clip: Path, tmp_path: Path) -> None:
    data = clip.read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: data.index(b"mdat") + (len(data) - data.index(b"mdat")) * 3 // 4])
    result = run(tmp_path / "cut.mp4", "--no-window", "--save", tmp_path / "out.mp4")
    assert result.exit_code == 1
    assert "cut.mp4: is " in result.stderr
    with VideoReader(tmp_path / "out.mp4") as video:
        assert len(list(video)) >= 1


def test_ctrl_c_completes_the_file(run, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fer_lmdb.inference.video import VideoRecognizer

    update = VideoRecognizer.update

    def interrupted(self: VideoRecognizer, image: np.ndarray, time_s: float) -> object:
        if time_s > 0.2:
            raise KeyboardInterrupt
        return update(self, image, time_s)

    monkeypatch.setattr(VideoRecognizer, "update", interrupted)
    result = run(clip, "--no-window", "--save", tmp_path / "out.mp4")
    assert result.exit_code == 0, result.output
    assert result.stderr.startswith("Stopped.\n6 frames")
    with VideoReader(tmp_path / "out.mp4") as video:
        assert len(list(video)) == 6
