"""The rule for outputs: what is never replaced, what needs force, and what is replaced without a word."""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from fer_lmdb.errors import OutputError
from fer_lmdb.io.atomic import atomic_directory
from fer_lmdb.io.folder_kinds import DATA_SET, IMAGES, REPORT, RUN
from fer_lmdb.io.identity import FileSet
from fer_lmdb.io.images import WRITABLE_SUFFIXES, write_image
from fer_lmdb.io.marks import has_mark
from fer_lmdb.io.outputs import OutputGuard, check_file
from fer_lmdb.visualization.figure_file import save_figure

sys.path.insert(0, str(Path(__file__).parent))
from foreign import unchanged

GRAY = np.full((8, 8), 90, np.uint8)
MANIFEST = json.dumps({"format": "fer-lmdb data set 1"})


def rejection(path: Path, *inputs: Path, force: bool = True) -> str:
    """Return why a file may not be written."""
    with pytest.raises(OutputError) as error:
        check_file(path, inputs, force=force)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_inputs_are_never_replaced_whatever_leads_to_them(tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    write_image(photo, GRAY)
    (tmp_path / "symbolic.png").symlink_to(photo)
    (tmp_path / "hard.png").hardlink_to(photo)
    (tmp_path / "folder").mkdir()
    for name in ("photo.png", "symbolic.png", "hard.png", "folder/../photo.png"):
        assert "would overwrite an input file" in rejection(tmp_path / name, photo)
    assert check_file(tmp_path / "new.png", [photo, Path("a\0b")]) == tmp_path / "new.png"


def test_two_outputs_of_a_call_are_two_files(tmp_path: Path) -> None:
    guard = OutputGuard()
    guard.check(tmp_path / "a.csv")
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(OutputError, match="two outputs are this one file"):
        guard.check(tmp_path / "link" / "a.csv")


def test_a_file_without_a_mark_needs_force(tmp_path: Path) -> None:
    for name in ("notes.txt", "faces.csv", "photo.png", "photo.jpg", "clip.mp4", "net.onnx", "model.safetensors"):
        (tmp_path / name).write_bytes(b"mine, and not a byte of it is of this program: fer-lmdb 0.1.0")
        expected = "exists and was not written by fer-lmdb; replace it with --force or choose another file"
        assert expected in rejection(tmp_path / name, force=False)
        assert check_file(tmp_path / name, force=True) == tmp_path / name


@pytest.mark.parametrize("suffix", sorted(WRITABLE_SUFFIXES))
def test_images_have_a_mark(tmp_path: Path, suffix: str) -> None:
    """Formats without a place for it need force."""
    path = tmp_path / f"face{suffix}"
    write_image(path, GRAY)
    assert has_mark(path) is (suffix not in (".bmp", ".ppm", ".pgm"))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".svg", ".pdf"])
def test_plots_have_a_mark(tmp_path: Path, suffix: str) -> None:
    figure = Figure(figsize=(1, 1))
    figure.savefig(tmp_path / f"theirs{suffix}")
    save_figure(figure, tmp_path / f"ours{suffix}")
    assert [has_mark(tmp_path / f"{who}{suffix}") for who in ("ours", "theirs")] == [True, False]


def test_the_mark_of_another_kind_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("path,frame,time_s,face\n")
    check_file(tmp_path / "table.csv")
    with pytest.raises(OutputError, match="exists and was not written by fer-lmdb"):
        check_file(tmp_path / "table.csv", suffix=".png")


def test_pipes_sockets_devices_and_folders(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    with socket.socket(socket.AF_UNIX) as server:
        place = Path.cwd()
        os.chdir(tmp_path)  # the address of a socket has at most 107 bytes
        server.bind("socket.csv")
        os.chdir(place)
        for path in (tmp_path / "pipe.csv", tmp_path / "socket.csv", Path("/dev/null")):
            assert "is a pipe, socket or device; expected a regular file" in rejection(path)
    assert "is a folder; expected a file" in rejection(tmp_path)


def test_files_of_data_sets_and_runs_are_never_replaced(tmp_path: Path) -> None:
    names = {
        "data/manifest.json": MANIFEST,
        "data/mean.binaryproto": "mean",
        "data/train_lmdb/data.mdb": "faces",
        "run/run.json": '{"options": {}}',
        "run/snapshot.safetensors": "state",
        "run/checkpoints/00000010.safetensors": "model",
        "run/deploy.prototxt": "net",
    }
    for name, text in names.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    with unchanged(tmp_path):
        for name in names:
            assert "is a file of the " in rejection(tmp_path / name)
    check_file(tmp_path / "run" / "face.onnx")
    check_file(tmp_path / "run" / "batch-accuracies.png")


FOLDERS = {
    DATA_SET: ({"manifest.json": MANIFEST, "train_lmdb/data.mdb": "faces"}, "photos/me.jpg"),
    IMAGES: ({"train_list.txt": "/train/3/1.png 3\n", "aligned/train/3/1.png": "face"}, "aligned/train/3/2.png"),
    REPORT: ({"report.json": '{"kind": "run", "files": ["a.png"]}', "a.png": "plot"}, "b.png"),
    RUN: ({"run.json": '{"options": {}}', "best.safetensors": "model"}, "notes.txt"),
}


@pytest.mark.parametrize("kind", FOLDERS, ids=lambda kind: kind.name)
def test_a_folder_is_replaced_only_if_every_file_in_it_is_ours(tmp_path: Path, kind) -> None:
    files, foreign = FOLDERS[kind]
    target = tmp_path / "target"
    for name, text in files.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_text(text)
    with unchanged(tmp_path), pytest.raises(OutputError, match="exists; replace it with --force"):
        fill(target, kind, force=False)
    (target / foreign).parent.mkdir(parents=True, exist_ok=True)
    (target / foreign).write_text("precious")
    with unchanged(tmp_path), pytest.raises(OutputError, match=f"{foreign} in this {kind.name} was not created"):
        fill(target, kind)
    (target / foreign).unlink()
    fill(target, kind)
    assert [path.name for path in target.iterdir()] == ["new"]


@pytest.mark.parametrize("kind", FOLDERS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("text", ["{}", "[]", "not JSON", '{"format": "other"}'])
def test_a_marker_of_another_program_does_not_count(tmp_path: Path, kind, text: str) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / kind.marker).write_text(text)
    (tmp_path / "target" / "photo.png").write_text("precious")
    with unchanged(tmp_path), pytest.raises(OutputError, match="was not created by fer-lmdb and would be deleted"):
        fill(tmp_path / "target", kind)


def test_a_report_inside_a_data_set_is_ours_and_a_photograph_in_it_is_not(tmp_path: Path) -> None:
    (tmp_path / "data" / "report").mkdir(parents=True)
    (tmp_path / "data" / "manifest.json").write_text(MANIFEST)
    (tmp_path / "data" / "report" / "report.json").write_text('{"kind": "data set", "files": []}')
    (tmp_path / "data" / "report" / "photo.png").write_text("precious")
    with unchanged(tmp_path), pytest.raises(OutputError, match=r"report/photo.png in this data set"):
        fill(tmp_path / "data", DATA_SET)
    (tmp_path / "data" / "report" / "photo.png").unlink()
    fill(tmp_path / "data", DATA_SET)


def test_a_folder_with_an_input_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "data" / "train_lmdb").mkdir(parents=True)
    (tmp_path / "data" / "manifest.json").write_text(MANIFEST)
    (tmp_path / "data" / "train_lmdb" / "data.mdb").write_text("faces")
    (tmp_path / "link").symlink_to(tmp_path / "data" / "train_lmdb")
    for source in ("data", "data/train_lmdb", "link", "data/../data"):
        with unchanged(tmp_path), pytest.raises(OutputError, match="is or contains an input"):
            fill(tmp_path / "data", DATA_SET, inputs=[tmp_path / source])


def test_hidden_neighbors_are_not_touched(tmp_path: Path) -> None:
    for name in (".data.old", ".data.building"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "backup.tar").write_text("precious")
    with unchanged(tmp_path / ".data.old"), unchanged(tmp_path / ".data.building"):
        fill(tmp_path / "data", DATA_SET)


def fill(target: Path, kind, force: bool = True, inputs=()) -> None:
    with atomic_directory(target, kind=kind, force=force, inputs=inputs) as folder:
        (folder / "new").write_text("new")


def test_the_file_behind_stdin(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("a.png\n")
    files = FileSet()
    with (tmp_path / "list.txt").open() as stream:
        files.add_stream(stream.fileno())
    files.add_stream(stream.fileno() if not stream.closed else 10_000)
    assert tmp_path / "list.txt" in files
    assert tmp_path / "other.txt" not in files


def test_a_link_is_one_output_even_after_it_was_replaced(tmp_path: Path) -> None:
    write_image(tmp_path / "photo.png", GRAY)
    (tmp_path / "link.png").symlink_to(tmp_path / "photo.png")
    guard = OutputGuard(force=True)
    write_image(guard.check(tmp_path / "link.png"), GRAY)
    with pytest.raises(OutputError, match="two outputs are this one file"):
        guard.check(tmp_path / "link.png")
