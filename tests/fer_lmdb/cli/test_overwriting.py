"""Commands never change a byte that they were not told to replace, whatever --force says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from safetensors.numpy import save

from fer_lmdb.cli import cli
from fer_lmdb.data.sources.synthetic import write_synthetic_csv
from fer_lmdb.io.images import write_image
from fer_lmdb.io.video_writer import VideoWriter
from fer_lmdb.labels import FER2013

sys.path.insert(0, str(Path(__file__).parents[1] / "io"))
from foreign import unchanged

GRAY = np.full((48, 48), 90, np.uint8)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def rejected(folder: Path, words: str, *arguments: object) -> None:
    """Run a command, which fails with these words in its last line and changes nothing below a folder."""
    with unchanged(folder):
        result = run(*arguments)
        assert result.exit_code == 1, result.output
        assert words in result.stderr.splitlines()[-1]
        assert "Traceback" not in result.stderr


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data set built from a csv."""
    write_synthetic_csv(tmp_path / "faces.csv", 14, 7, 7, 0)
    result = run("build", tmp_path / "faces.csv", "--detector", "none", "--out", tmp_path / "data")
    assert result.exit_code == 0, result.output
    return tmp_path / "data"


def test_photographs_inside_a_data_set_survive_build(data: Path) -> None:
    for name in FER2013.classes:
        for number in range(4):
            write_image(data / "photos" / name / f"{number}.png", GRAY + number)
    options = ("--detector", "none", "--out", data, "--force")
    rejected(data, "is or contains an input", "build", data / "photos", *options)
    rejected(data, "in this data set was not created by fer-lmdb", "build", data.parent / "faces.csv", *options)


def test_build_does_not_replace_its_source(data: Path, tmp_path: Path) -> None:
    (tmp_path / "data" / "train_lmdb" / "faces.csv").hardlink_to(tmp_path / "faces.csv")
    source = tmp_path / "data" / "train_lmdb" / "faces.csv"
    rejected(tmp_path, "is or contains an input", "build", source, "--detector", "none", "--out", data, "--force")


def test_an_older_data_set_is_replaced_with_force(data: Path, tmp_path: Path) -> None:
    report = run("report", data)
    assert report.exit_code == 0, report.output
    options = ("--detector", "none", "--out", data, "--seed", "1")
    rejected(tmp_path, "exists; replace it with --force", "build", tmp_path / "faces.csv", *options)
    assert run("build", tmp_path / "faces.csv", *options, "--force").exit_code == 0
    assert json.loads((data / "manifest.json").read_text())["seed"] == 1


def test_older_images_are_replaced_with_force(tmp_path: Path) -> None:
    """Every file of `build --images` is known, and every file of a data set."""
    write_synthetic_csv(tmp_path / "faces.csv", 14, 7, 7, 0)
    for source in ("faces.csv", "images/original"):
        for force in ((), ("--force",)):
            outputs = ("--out", tmp_path / "data", "--images", tmp_path / "images")
            if source != "faces.csv":
                outputs = ("--out", tmp_path / "data2", "--images", tmp_path / "images2")
            result = run("build", tmp_path / source, *outputs, "--detector", "haar", *force)
            assert result.exit_code == 0, result.output


def test_images_of_a_user_survive_build_images(data: Path, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "train_list.txt").write_text("cat.png 0\n")
    write_image(tmp_path / "images" / "cat.png", GRAY)
    command = ("build", tmp_path / "faces.csv", "--detector", "none", "--images-only", "--force")
    rejected(tmp_path, "was not created by fer-lmdb", *command, "--images", tmp_path / "images")


def test_join_does_not_replace_an_input(data: Path, tmp_path: Path) -> None:
    assert run("build", tmp_path / "faces.csv", "--detector", "none", "--out", tmp_path / "b").exit_code == 0
    rejected(tmp_path, "is or contains an input", "join", data, tmp_path / "b", "--out", data, "--force")
    (tmp_path / "link").symlink_to(data)
    rejected(tmp_path, "is or contains an input", "join", data, tmp_path / "b", "--out", tmp_path / "link", "--force")


@pytest.mark.parametrize("csv", ["emotion,pixels,Usage\n", None])
def test_a_run_of_a_user_survives_demo(tmp_path: Path, csv: str | None) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text('{"options": {}}')
    (tmp_path / "run" / "best.safetensors").write_text("weights of a week")
    if csv is not None:
        (tmp_path / "faces.csv").write_text(csv)
    rejected(tmp_path, "was not written by demo", "demo", "--out", tmp_path)


def test_files_of_a_user_in_the_folder_of_a_demo(tmp_path: Path) -> None:
    from fer_lmdb.cli import demo_steps

    demo = demo_steps.Demo(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("TRAIN_FACES", "VAL_FACES", "TEST_FACES"):
            patch.setattr(demo_steps, name, 7)
        demo.draw_faces()
    demo.prepare_folder()
    for name, words in (
        ("faces.csv", "faces.csv has changed and was not written by demo"),
        ("astronaut.png", "exists and was not written by fer-lmdb"),
        ("run/run.json", "run.json in this run was not created by fer-lmdb"),
    ):
        earlier = (tmp_path / name).read_bytes() if (tmp_path / name).exists() else None
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine")
        rejected(tmp_path, words, "demo", "--out", tmp_path)
        if earlier is None:
            (tmp_path / name).unlink()
        else:
            (tmp_path / name).write_bytes(earlier)


def test_a_folder_with_a_report_of_another_program_survives_report(data: Path, tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "report.json").write_text('{"title": "Thesis"}')
    write_image(tmp_path / "project" / "photo.png", GRAY)
    rejected(tmp_path, "was not created by fer-lmdb", "report", data, "--out", tmp_path / "project")
    rejected(tmp_path, "is or contains an input", "report", data, "--out", data)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    write_image(tmp_path / "photo.png", np.full((64, 64, 3), 90, np.uint8))
    return tmp_path / "photo.png"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model file outside of the package."""
    result = run("export", "fer_mini", "--out", tmp_path / "mini.safetensors")
    assert result.exit_code == 0, result.output
    return tmp_path / "mini.safetensors"


FAST = ("--detector", "none")


@pytest.mark.parametrize("force", [(), ("--force",)])
def test_predict_does_not_replace_model_list_or_image(model: Path, photo: Path, tmp_path: Path, force) -> None:
    (tmp_path / "hard.csv").hardlink_to(photo)
    (tmp_path / "soft.csv").symlink_to(photo)
    command = ("predict", photo, "--model", model, *FAST, *force)
    for name in (model.name, photo.name, "hard.csv", "soft.csv"):
        rejected(tmp_path, "would overwrite an input file", *command, "--csv", tmp_path / name)
    for option in ("--save", "--plot"):
        rejected(tmp_path, "would overwrite an input file", *command, option, photo)
    other = tmp_path / "other.safetensors"
    other.write_bytes(model.read_bytes())
    rejected(tmp_path, 'is a file of fer-lmdb ("fer-lmdb model 1")', *command, "--csv", other)


def test_predict_does_not_replace_the_list_on_stdin(photo: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(f"{photo}\n")
    words = [sys.executable, "-m", "fer_lmdb", "predict", "-", *FAST, "--csv", "list.txt", "--force"]
    with unchanged(tmp_path), (tmp_path / "list.txt").open() as stdin:
        done = subprocess.run(words, cwd=tmp_path, stdin=stdin, capture_output=True, text=True)
        assert done.returncode == 1
        assert "list.txt: would overwrite an input file" in done.stderr


def test_predict_replaces_its_own_results_only(photo: Path, tmp_path: Path) -> None:
    outputs = {"--save": tmp_path / "annotated.png", "--csv": tmp_path / "faces.csv"}
    command = ["predict", photo, *FAST, *(word for pair in outputs.items() for word in pair)]
    for _ in range(2):
        assert run(*command).exit_code == 0
    for path in outputs.values():
        path.write_text("mine")
        rejected(tmp_path, f"{path.name}: exists and was not written by fer-lmdb; replace it with --force", *command)
        assert run(*command, "--force").exit_code == 0
        assert path.read_bytes() != b"mine"


def test_a_foreign_file_in_a_result_folder_is_found_before_the_first_prediction(photo: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    write_image(tmp_path / "out" / "a.png", GRAY)
    (tmp_path / "out" / "photo.png").write_text("mine")
    write_image(tmp_path / "a.png", GRAY)
    command = ("predict", tmp_path / "a.png", photo, *FAST, "--save", tmp_path / "out")
    rejected(tmp_path, "photo.png: exists and was not written by fer-lmdb", *command)
    assert run(*command, "--force").exit_code == 0


def test_outputs_of_one_call_are_different_files(photo: Path, tmp_path: Path) -> None:
    (tmp_path / "same.png").write_text("mine")
    (tmp_path / "link.png").hardlink_to(tmp_path / "same.png")
    outputs = ("--save", tmp_path / "same.png", "--csv", tmp_path / "link.png", "--force")
    rejected(tmp_path, "two outputs are this one file", "predict", photo, *FAST, *outputs)


@pytest.mark.parametrize("address", ["{}", "file://{}"])
def test_watch_does_not_replace_its_source(tmp_path: Path, address: str) -> None:
    clip = tmp_path / "clip.mp4"
    with VideoWriter(clip) as video:
        for index in range(3):
            video.add(np.full((64, 64, 3), 90, np.uint8), index / 25)
    command = ("watch", address.format(clip), *FAST, "--no-window", "--force", "--save")
    rejected(tmp_path, "would overwrite an input file", *command, clip)
    (tmp_path / "mine.mp4").write_text("mine")
    rejected(tmp_path, "mine.mp4: exists and was not written", *command[:-2], "--save", tmp_path / "mine.mp4")
    for _ in range(2):
        assert run("watch", clip, *FAST, "--no-window", "--save", tmp_path / "out.mp4").exit_code == 0


def test_export_replaces_models_and_nothing_else(model: Path, data: Path, tmp_path: Path) -> None:
    files = {"notes.txt": b"mine", "p.jpg": b"mine", "state.safetensors": snapshot(), "net.onnx": b"mine"}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "hard.safetensors").hardlink_to(model)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text('{"options": {}}')
    (tmp_path / "run" / "best.safetensors").write_bytes(model.read_bytes())
    for name, words in (
        ("mini.safetensors", "would overwrite an input file"),
        ("hard.safetensors", "would overwrite an input file"),
        ("state.safetensors", 'is a file of fer-lmdb ("fer-lmdb snapshot 1")'),
        ("run/best.safetensors", "is a file of the run"),
        ("run/snapshot.safetensors", "is a file of the run"),
        ("data/mean.binaryproto", "is a file of the data set"),
        ("data/train_lmdb/data.mdb", "is a file of the data set"),
    ):
        command = ("export", model, "--format", "safetensors", "--out", tmp_path / name)
        rejected(tmp_path, words, *command)
        rejected(tmp_path, words, *command, "--force")
    for name in ("notes.txt", "p.jpg", "net.onnx"):
        rejected(tmp_path, "exists and was not", "export", model, "--format", "onnx", "--out", tmp_path / name)
    rejected(tmp_path, "is a file of the run", "export", model, "--format", "caffe", "--out", tmp_path / "run")
    assert run("export", model, "--out", tmp_path / "copy.safetensors").exit_code == 0
    assert run("export", model, "--out", tmp_path / "copy.safetensors").exit_code == 0


def snapshot() -> bytes:
    return save({"x": np.zeros(1, np.float32)}, {"format": "fer-lmdb snapshot 1"})


def test_caffe_files_of_a_user_survive_export(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "caffe"
    for _ in range(2):
        assert run("export", model, "--out", folder).exit_code == 0
    for path in folder.iterdir():
        content = path.read_bytes()
        path.write_bytes(content[:-1] + b"?" if path.suffix != ".prototxt" else b"# mine\n" + content)
        rejected(tmp_path, "exists and was not written by fer-lmdb", "export", model, "--out", folder)
        path.write_bytes(content)
    assert run("export", model, "--out", folder).exit_code == 0


def test_drawings_do_not_replace_files(data: Path, tmp_path: Path) -> None:
    for _ in range(2):
        assert run("inspect", data, "--draw", tmp_path / "classes.png").exit_code == 0
        assert run("inspect", "fer_mini", "--draw", tmp_path / "net.svg").exit_code in (0, 1)
    (tmp_path / "mine.png").write_text("mine")
    rejected(tmp_path, "exists and was not written", "inspect", data, "--draw", tmp_path / "mine.png")
    assert run("inspect", data, "--draw", tmp_path / "mine.png", "--force").exit_code == 0


def test_calibrate_does_not_replace_other_files(data: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    (tmp_path / "state.safetensors").write_bytes(snapshot())
    command = ("calibrate", "fer_mini", "--data", data, "--out")
    rejected(tmp_path, "exists and was not written", *command, tmp_path / "mine.txt")
    rejected(tmp_path, "fer-lmdb snapshot 1", *command, tmp_path / "state.safetensors", "--force")
    rejected(tmp_path, "is a file of the data set", *command, data / "mean.binaryproto", "--force")


def test_a_run_is_not_written_into_a_data_set(data: Path, tmp_path: Path) -> None:
    rejected(tmp_path, "is a data set; set another --run name", "train", "--data", data, "--run", data)
