"""Files that grow: complete after errors and signals, partial after a kill, one writer at a time."""

from __future__ import annotations

import errno
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fer_lmdb.errors import ImageError, OutputError
from fer_lmdb.inference.writers import CsvWriter
from fer_lmdb.io import streaming
from fer_lmdb.io.streaming import StreamingFile
from fer_lmdb.io.video import VideoReader
from fer_lmdb.io.video_writer import VideoWriter
from fer_lmdb.results import ImagePrediction
from fer_lmdb.runtime.signals import ended_by_signals, uninterrupted

IMAGE = np.random.default_rng(0).integers(0, 256, (96, 128, 3), dtype=np.uint8)


class Disk:
    """A disk of some bytes below `StreamingFile` and its reserve."""

    def __init__(self, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.free = size
        self.reserved = 0
        disk = self

        class Reserve(streaming._Reserve):
            def __init__(self, folder: Path) -> None:
                self.held = 0
                self.extend(100_000)

            def extend(self, size: int) -> None:
                if size > disk.free:
                    raise OSError(errno.ENOSPC, "No space left on device")
                self.held += size
                disk.free -= size

            def free(self) -> None:
                disk.free += self.held
                self.held = 0

        class File:
            def __init__(self, raw) -> None:
                self.raw = raw

            def write(self, data) -> int:
                end = os.fstat(self.raw.fileno()).st_size
                grows = max(0, self.raw.tell() + len(data) - end)
                if grows > disk.free:
                    part = disk.free
                    disk.free = 0
                    if part == 0:
                        raise OSError(errno.ENOSPC, "No space left on device")
                    return self.raw.write(data[: len(data) - grows + part])
                disk.free -= grows
                return self.raw.write(data)

            def truncate(self, size: int) -> None:
                disk.free += os.fstat(self.raw.fileno()).st_size - size
                self.raw.truncate(size)

            def __getattr__(self, name: str):
                return getattr(self.raw, name)

        monkeypatch.setattr(streaming, "_Reserve", Reserve)
        opened = Path.open
        monkeypatch.setattr(
            Path, "open", lambda path, mode="r", *rest, **settings: _wrap(opened(path, mode, *rest, **settings), mode)
        )

        def _wrap(file, mode: str):
            return File(file) if mode == "x+b" else file


def frames_of(path: Path) -> int:
    with VideoReader(path) as video:
        return sum(1 for _ in video)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
def test_a_full_disk_leaves_a_playable_video_with_every_frame(tmp_path: Path, monkeypatch, suffix: str) -> None:
    Disk(300_000, monkeypatch)
    path = tmp_path / f"clip{suffix}"
    with pytest.raises(ImageError, match="the disk; the video ends after") as error, VideoWriter(path) as video:
        for index in range(500):
            video.add(IMAGE + np.uint8(index), index / 25)
    assert names(tmp_path) == [path.name]
    assert frames_of(path) == video.frames > 5
    assert f"ends after {video.frames} frames" in str(error.value)


def test_a_full_disk_leaves_a_table_with_every_row(tmp_path: Path, monkeypatch) -> None:
    Disk(400, monkeypatch)
    table = CsvWriter(tmp_path / "faces.csv", ("happy", "sad"))
    with pytest.raises(ImageError, match=r"faces.csv: cannot be written: No space left on device; it ends after \d+"):
        for index in range(100):
            table.add(ImagePrediction(f"image-{index:02d}.png", 8, 8, ()))
    lines = (tmp_path / "faces.csv").read_bytes().decode().split("\r\n")
    assert lines[-1] == ""
    assert [line.split(",")[0] for line in lines[1:-1]] == [f"image-{index:02d}.png" for index in range(table.rows)]
    assert table.rows > 5
    assert names(tmp_path) == ["faces.csv"]


def test_an_error_or_an_interruption_leaves_the_finished_frames(tmp_path: Path) -> None:
    for error in (KeyboardInterrupt, SystemExit, ImageError, ZeroDivisionError):
        with pytest.raises(error), VideoWriter(tmp_path / "clip.mp4") as video:
            for index in range(7):
                video.add(IMAGE, index / 25)
            raise error
        assert frames_of(tmp_path / "clip.mp4") == 7
        assert names(tmp_path) == ["clip.mp4"]


def test_a_second_writer_is_rejected(tmp_path: Path) -> None:
    first = StreamingFile(tmp_path / "a.csv")
    (tmp_path / "link").symlink_to(tmp_path)
    for path in (tmp_path / "a.csv", tmp_path / "link" / "a.csv"):
        with pytest.raises(OutputError, match=r"a.csv: another process is writing this file; wait until it finishes"):
            StreamingFile(path)
    first.commit()
    StreamingFile(tmp_path / "a.csv").commit()


KILLED = """
import sys, time
from pathlib import Path
from fer_lmdb.inference.writers import CsvWriter
from fer_lmdb.results import ImagePrediction
table = CsvWriter(Path(sys.argv[1]), ("happy",))
table.add(ImagePrediction("a.png", 8, 8, ()))
print("written", flush=True)
time.sleep(1000)
"""


def test_what_a_killed_process_leaves_is_marked_kept_and_reported(tmp_path: Path, caplog) -> None:
    (tmp_path / "faces.csv").write_text("path,frame,time_s,older\n")
    with subprocess.Popen([sys.executable, "-c", KILLED, tmp_path / "faces.csv"], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        with pytest.raises(OutputError, match="another process"):
            StreamingFile(tmp_path / "faces.csv")
        process.send_signal(signal.SIGKILL)
    assert (tmp_path / "faces.csv").read_text() == "path,frame,time_s,older\n"
    left = (tmp_path / "faces.csv.partial").read_bytes()
    assert left.count(b"\r\n") == 2
    with caplog.at_level(logging.WARNING):
        CsvWriter(tmp_path / "faces.csv", ("happy",)).close()
    assert "faces.csv.partial is what a killed process left; rename or delete it" in caplog.text
    assert (tmp_path / "faces.csv.partial").read_bytes() == left
    assert names(tmp_path) == ["faces.csv", "faces.csv.partial"]


def test_the_longest_name(tmp_path: Path) -> None:
    path = tmp_path / ("é" * 125 + ".csv")
    StreamingFile(path).commit()
    assert names(tmp_path) == [path.name]


@pytest.mark.parametrize(("number", "error"), [("SIGINT", KeyboardInterrupt), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_signals_wait_for_the_end_of_a_write(number: str, error) -> None:
    done = []
    expected = error if error is KeyboardInterrupt else SystemExit
    with pytest.raises(expected) as raised, ended_by_signals():
        with uninterrupted():
            with uninterrupted():
                signal.raise_signal(getattr(signal, number))
                signal.raise_signal(getattr(signal, number))
            done.append("written")
        done.append("never")
    assert done == ["written"]
    assert expected is KeyboardInterrupt or raised.value.code == error
    with pytest.raises(expected), ended_by_signals():
        signal.raise_signal(getattr(signal, number))


def test_ignored_signals_remain_ignored() -> None:
    previous = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ended_by_signals():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, previous)
