"""predict and watch ended from outside: what is finished is complete and playable."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fer_lmdb.io.video import VideoReader
from fer_lmdb.io.video_writer import VideoWriter

# Frames of a device that never ends, so that a signal always arrives in the middle.
ENDLESS = """
import itertools, sys
import numpy as np
from fer_lmdb.io import video
from fer_lmdb.io.video import Frame

def frames(self):
    for index in itertools.count():
        yield Frame(index, index / 25, np.full((64, 64, 3), index % 256, np.uint8))

video.VideoReader.__iter__ = frames
from fer_lmdb.cli import main
main(sys.argv[1:])
"""


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    with VideoWriter(tmp_path / "clip.mp4") as video:
        for index in range(3):
            video.add(np.full((64, 64, 3), 90, np.uint8), index / 25)
    return tmp_path / "clip.mp4"


def frames_of(path: Path) -> int:
    with VideoReader(path) as video:
        return sum(1 for _ in video)


COMMANDS = {
    "predict": ("--save", "out.mp4", "--csv", "out.csv"),
    "watch": ("--no-window", "--save", "out.mp4"),
}
CODES = {("predict", "SIGINT"): 130, ("watch", "SIGINT"): 0, "SIGTERM": 143, "SIGHUP": 129}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_results_are_complete_after_a_signal(clip: Path, command: str, number: str) -> None:
    words = [sys.executable, "-c", ENDLESS, command, str(clip), "--detector", "none", "--json", *COMMANDS[command]]
    printed = clip.parent / "out.jsonl"
    with printed.open("wb") as stdout, subprocess.Popen(words, cwd=clip.parent, stdout=stdout, stderr=-1) as process:
        while printed.stat().st_size < 20_000:
            assert process.poll() is None, process.stderr.read()
            os.sched_yield()
        process.send_signal(getattr(signal, number))
        try:
            said = process.communicate(timeout=120)[1].decode()
        finally:
            process.kill()
    assert process.returncode == CODES.get((command, number), CODES.get(number)), said
    assert "Traceback" not in said
    lines = printed.read_bytes().split(b"\n")
    assert lines[-1] == b""
    shown = [json.loads(line)["frame"] for line in lines[:-1]]
    assert shown == list(range(len(shown)))
    assert len(shown) <= frames_of(clip.parent / "out.mp4") <= len(shown) + 1
    if command == "predict":
        with (clip.parent / "out.csv").open(newline="") as file:
            rows = [int(row["frame"]) for row in csv.DictReader(file)]
        assert rows == list(range(frames_of(clip.parent / "out.mp4")))
    assert not list(clip.parent.glob("*.partial")) and not list(clip.parent.glob(".*"))


def test_json_lines_on_a_full_disk_are_whole(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("cannot mount a small file system here")
    try:
        code = "from fer_lmdb.cli.console import emit_line\nfor index in range(10000): emit_line({'frame': index})"
        with (disk / "out.jsonl").open("wb") as stdout:
            done = subprocess.run([sys.executable, "-c", code], stdout=stdout, stderr=subprocess.PIPE)
        assert done.returncode == 1
        assert b"No space left on device" in done.stderr
        lines = (disk / "out.jsonl").read_bytes().split(b"\n")
        assert lines.pop() == b""
        assert [json.loads(line)["frame"] for line in lines] == list(range(len(lines)))
        assert len(lines) > 1000
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_video_on_a_full_disk_is_playable(tmp_path: Path) -> None:
    """On a real file system: without the reserve there is no room for the index."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=5m", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("cannot mount a small file system here")
    try:
        noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
        with pytest.raises(Exception, match="no space left on the disk"), VideoWriter(disk / "out.mp4") as video:
            for index in range(10_000):
                video.add(noise + np.uint8(index), index / 25)
        assert [path.name for path in disk.iterdir()] == ["out.mp4"]
        assert frames_of(disk / "out.mp4") == video.frames > 5
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)
