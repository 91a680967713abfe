"""The command `fer-lmdb predict`."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from fer_lmdb.cli import cli
from fer_lmdb.cli.render_predictions import bar
from fer_lmdb.io.images import read_image, write_image
from fer_lmdb.io.video import VideoReader
from fer_lmdb.io.video_writer import VideoWriter
from fer_lmdb.labels import FER2013
from tests.fer_lmdb.io.video_files import encode, face


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a portrait, two portraits side by side, and an empty image."""
    from skimage import data

    folder = tmp_path_factory.mktemp("album")
    portrait = data.astronaut()[20:220, 120:320]
    write_image(folder / "one.png", portrait)
    write_image(folder / "sub" / "two.jpg", np.concatenate([portrait, portrait[:, ::-1]], axis=1))
    write_image(folder / "empty.png", np.full((120, 100, 3), 90, np.uint8))
    return folder


@pytest.fixture
def predict(trained):
    def run(*arguments: object, stdin: bytes | None = None) -> Result:
        words = ["predict", *map(str, arguments), "--model", str(trained.run.path), "--device", "cpu"]
        return CliRunner().invoke(cli, words, input=stdin)

    return run


def test_json_lines(predict, album: Path) -> None:
    result = predict(album, "--json")
    assert result.exit_code == 0, result.output
    documents = [json.loads(line) for line in result.stdout.splitlines()]
    assert [Path(document["path"]).name for document in documents] == ["empty.png", "one.png", "two.jpg"]
    assert [len(document["faces"]) for document in documents] == [0, 1, 2]
    assert documents[0] == {"path": str(album / "empty.png"), "width": 100, "height": 120, "faces": [], "error": None}
    (face,) = documents[1]["faces"]
    assert list(face) == ["box", "score", "landmarks", "expression", "probabilities"]
    assert len(face["box"]) == 4
    assert np.shape(face["landmarks"]) == (5, 2)
    assert tuple(face["probabilities"]) == FER2013.classes


def test_terminal_output(predict, album: Path) -> None:
    result = predict(album / "one.png")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == f"{album}/one.png  200 x 200, 1 face"
    assert lines[1].startswith("  1  ")
    assert len(lines) == 2 + len(FER2013)
    percentages = [int(line.rsplit(maxsplit=1)[1].rstrip("%")) for line in lines[2:]]
    assert percentages == sorted(percentages, reverse=True)
    assert result.stderr.startswith(f"Next: fer-lmdb predict {album}/one.png --model ")
    assert "no face" in predict(album / "empty.png").stdout


def test_the_next_command_is_quoted(predict, trained, album: Path, tmp_path: Path) -> None:
    shutil.copy(album / "one.png", tmp_path / "my face.png")
    stderr = predict(tmp_path / "my face.png", "--tta", 2, "--top-k", 3).stderr
    path, options = f"'{tmp_path}/my face.png'", f"--model {trained.run.path} --top-k 3 --tta 2 --device cpu"
    assert stderr == f"Next: fer-lmdb predict {path} {options} --save annotated.png\n"


def test_the_next_command_has_a_writable_suffix(predict, album: Path, tmp_path: Path) -> None:
    Image.open(album / "one.png").save(tmp_path / "one.jp2")
    assert predict(tmp_path / "one.jp2").stderr.endswith("--save annotated.png\n")


def test_an_unknown_detector_is_reported_once(predict, album: Path) -> None:
    result = predict(album, "--detector", "eyes")
    assert result.exit_code == 1
    assert result.stderr.count("unknown detector") == 1


def test_the_members_of_a_folder_of_models_are_listed(trained, album: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        shutil.copy(trained.run.best, tmp_path / f"{name}.safetensors")
    words = ["predict", str(album / "one.png"), "--device", "cpu", "--json", "--model"]
    stderr = CliRunner().invoke(cli, [*words, str(tmp_path)]).stderr
    assert stderr == f"ensemble of 2 models: {tmp_path}/a.safetensors, {tmp_path}/b.safetensors\n"
    assert CliRunner().invoke(cli, [*words, str(trained.run.path)]).stderr == ""


def test_ensemble_weights(trained, album: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        shutil.copy(trained.run.best, tmp_path / f"{name}.safetensors")
    words = ["predict", str(album / "one.png"), "--device", "cpu", "--model", str(tmp_path), "--ensemble-weights"]
    result = CliRunner().invoke(cli, [*words, "2,1"])
    assert result.exit_code == 0, result.output
    assert "--ensemble-weights 2,1 --device cpu --save" in result.stderr
    assert "weights [1.0, 2.0, 3.0]: expected 2 numbers" in CliRunner().invoke(cli, [*words, "1,2,3"]).stderr
    result = CliRunner().invoke(cli, [*words, "1,x"])
    assert result.exit_code == 2
    assert "expected numbers separated by commas, e.g. 2,1,1" in result.stderr


def test_a_folder_of_a_phone_and_a_mac(predict, album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("inputs", "left_out"):
        monkeypatch.setattr(f"fer_lmdb.inference.{module}.has_heif", lambda: False)
    folder = tmp_path / "phone"
    shutil.copytree(album, folder)
    (folder / "._one.png").write_bytes(b"\0\5\x16\7" + bytes(100))
    (folder / "IMG_0001.HEIC").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))
    encode(folder / "00001.MTS", [read_image(album / "one.png")] * 5, kind="mpegts")
    result = predict(folder, "--json")
    assert result.exit_code == 0, result.output
    paths = [Path(json.loads(line)["path"]).name for line in result.stdout.splitlines()]
    assert paths == ["00001.MTS"] * 5 + ["empty.png", "one.png", "two.jpg"]
    assert "Left out: 1 hidden; 1 HEIC, which needs: pip install 'fer-lmdb[heif]'.\n" in result.stderr
    named = predict(folder / "00001.MTS", "--json")
    assert len(named.stdout.splitlines()) == 5


def test_lists_on_stdin(predict, album: Path) -> None:
    for data in (f"{album}/one.png\r\n".encode("utf-16"), f"{album}/one.png\0".encode(), f"{album}/one.png".encode()):
        (line,) = predict("-", "--json", stdin=data).stdout.splitlines()
        assert json.loads(line)["path"] == f"{album}/one.png"


def test_stdin_that_is_no_list_is_rejected(predict, album: Path) -> None:
    for data in ((album / "one.png").read_bytes(), "/\r\n/a.jpg\r\n".encode("utf-16-le")):
        result = predict("-", "--json", stdin=data)
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr.startswith("Error: stdin: is not a list of paths: found binary data")


def test_an_animation_named_alone_is_a_video(predict, tmp_path: Path) -> None:
    face_image = face("happy", 17)
    fade = [Image.fromarray((face_image * (k / 5)).astype(np.uint8)) for k in range(6)]
    fade[0].save(tmp_path / "fade.gif", save_all=True, append_images=fade[1:], duration=200)
    documents = [json.loads(line) for line in predict(tmp_path / "fade.gif", "--json").stdout.splitlines()]
    assert [document["time_s"] for document in documents] == [0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert [len(documents[k]["faces"]) for k in (0, 5)] == [0, 1]
    result = predict(tmp_path, "--json")
    assert "faces" in json.loads(result.stdout)
    assert "1 animation, of which the first frame was read" in result.stderr


def test_top_k_and_min_probability(predict, album: Path) -> None:
    result = predict(album / "one.png", "--top-k", 2, "--min-probability", 1)
    assert len(result.stdout.splitlines()) == 4
    assert "uncertain" in result.stdout


def test_a_broken_image_is_a_result_and_the_exit_code_is_1(predict, album: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"rubbish")
    result = predict(tmp_path / "broken.jpg", album / "one.png", "https://example.org/a.jpg", "--json")
    assert result.exit_code == 1
    documents = [json.loads(line) for line in result.stdout.splitlines()]
    assert [document["error"] is None for document in documents] == [False, True, False]
    assert result.stderr == "2 of 3 files could not be read.\n"
    assert predict(tmp_path / "broken.jpg", "--json").stderr == "1 of 1 file could not be read.\n"
    text = predict(tmp_path / "broken.jpg")
    assert text.exit_code == 1
    assert text.stdout == ""
    assert text.stderr.startswith(f"Error: {tmp_path}/broken.jpg: is not an image")


def test_paths_on_stdin(predict, album: Path) -> None:
    names = [os.fsencode(album / name) for name in ("one.png", "empty.png")]
    for joined in (b"\n".join(names), b"\n".join(names) + b"\n", b"\0".join(names) + b"\0", b"\r\n".join(names)):
        result = predict("-", "--json", stdin=joined)
        assert [Path(json.loads(line)["path"]).name for line in result.stdout.splitlines()] == ["one.png", "empty.png"]
    result = predict("-", stdin=b"")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "No paths on stdin" in result.stderr


def test_save_crops_and_csv(predict, album: Path, tmp_path: Path) -> None:
    results = ["--save", tmp_path / "out", "--crops", tmp_path / "crops", "--csv", tmp_path / "faces.csv"]
    result = predict(album, *results, "--json")
    assert result.exit_code == 0, result.output
    assert read_image(tmp_path / "out" / "sub" / "two.jpg").shape[0] >= 400
    names = sorted(path.relative_to(tmp_path).as_posix() for path in (tmp_path / "crops").rglob("*.png"))
    assert names == ["crops/one-1.png", "crops/sub/two-1.png", "crops/sub/two-2.png"]
    with (tmp_path / "faces.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["face"] for row in rows] == ["", "1", "1", "2"]
    document = json.loads(result.stdout.splitlines()[1])
    assert float(rows[1]["happy"]) == document["faces"][0]["probabilities"]["happy"]


def test_results_inside_the_album_are_not_predicted_again(predict, album: Path, tmp_path: Path) -> None:
    folder = tmp_path / "album"
    write_image(folder / "one.png", read_image(album / "one.png"))
    for _ in range(2):
        result = predict(folder, "--json", "--save", folder / "out", "--crops", folder / "crops")
        assert len(result.stdout.splitlines()) == 1


def test_save_to_one_file(predict, album: Path, tmp_path: Path) -> None:
    result = predict(album / "one.png", "--save", tmp_path / "a.webp")
    assert result.exit_code == 0
    assert result.stderr == ""
    assert read_image(tmp_path / "a.webp").shape[0] >= 400


def test_one_output_file_for_many_images_is_a_usage_error(predict, album: Path, tmp_path: Path) -> None:
    result = predict(album, "--save", tmp_path / "a.png")
    assert result.exit_code == 2
    assert "is a file, but there may be several results; pass a folder" in result.stderr


def test_the_input_is_not_overwritten(predict, album: Path) -> None:
    result = predict(album / "one.png", "--save", album / "one.png")
    assert result.exit_code == 1
    assert "would overwrite an input file" in result.stderr
    assert read_image(album / "one.png").shape == (200, 200, 3)


@pytest.mark.parametrize("by_stdin", [False, True])
@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_no_input_is_overwritten_by_the_copy_of_another(
    predict, album: Path, tmp_path: Path, order: tuple[str, str], by_stdin: bool
) -> None:
    for folder in order:
        write_image(tmp_path / folder / "x.png", read_image(album / "empty.png"))
    names = [tmp_path / folder / "x.png" for folder in order]
    words, stdin = (["-"], "\n".join(map(str, names)).encode()) if by_stdin else (names, None)
    result = predict(*words, "--save", tmp_path / "b", "--detector", "none", stdin=stdin)
    assert result.exit_code == 1
    assert f"{tmp_path}/b/x.png: would overwrite an input file" in result.stderr
    assert [read_image(name).shape for name in names] == [(120, 100, 3)] * 2


@pytest.mark.parametrize(("option", "target"), [("--crops", "b"), ("--csv", "b/x-1.png")])
def test_no_input_is_overwritten_by_crops_or_a_table(
    predict, album: Path, tmp_path: Path, option: str, target: str
) -> None:
    for name in ("a/x.png", "b/x-1.png"):
        write_image(tmp_path / name, read_image(album / "empty.png"))
    words = [tmp_path / "a" / "x.png", tmp_path / "b" / "x-1.png", "--detector", "none"]
    result = predict(*words, option, tmp_path / target)
    assert result.exit_code == 1
    assert f"{tmp_path}/b/x-1.png: would overwrite an input file" in result.stderr
    assert read_image(tmp_path / "b" / "x-1.png").shape == (120, 100, 3)


def test_results_of_an_earlier_run_are_replaced(predict, album: Path, tmp_path: Path) -> None:
    words = ["--save", tmp_path / "out", "--crops", tmp_path / "crops", "--csv", tmp_path / "faces.csv"]
    for _ in range(2):
        assert predict("-", *words, stdin=os.fsencode(album / "one.png")).exit_code == 0
        written = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*"))
        assert written == ["crops/one-1.png", "faces.csv", "out/one.png"]
        write_image(tmp_path / "out" / "one.png", np.zeros((8, 8), np.uint8))
        (tmp_path / "faces.csv").write_bytes(b"path,frame,time_s,old")
    assert predict("-", *words, stdin=os.fsencode(album / "one.png")).exit_code == 0
    assert read_image(tmp_path / "out" / "one.png").shape[0] >= 200
    assert (tmp_path / "faces.csv").read_bytes()[:22] == b"path,frame,time_s,face"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from skimage import data

    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    with VideoWriter(path) as video:
        for index in range(10):
            video.add(data.astronaut()[20:220, 120 - index : 320 - index], index / 25)
    return path


def test_a_video(predict, clip: Path, tmp_path: Path) -> None:
    targets = {"--save": "out.mp4", "--csv": "out.csv", "--plot": "plot.png", "--crops": "crops"}
    words = [word for option, name in targets.items() for word in (option, tmp_path / name)]
    result = predict(clip, *words)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == f"{clip}  10 frames, 0.4 s, 1 person"
    assert lines[1] == "  person 1  from 0.0 s to 0.4 s, mean"
    assert len(lines) == 2 + len(FER2013)
    with VideoReader(tmp_path / "out.mp4") as video:
        frames = list(video)
    assert [frame.image.shape for frame in frames] == [(200, 200, 3)] * 10
    assert (np.abs(frames[5].image.astype(int) - next(iter(VideoReader(clip))).image) > 60).any()
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["frame"], row["face"]) for row in rows] == [(str(index), "1") for index in range(10)]
    assert read_image(tmp_path / "plot.png").shape[1] > 1000
    assert len(list((tmp_path / "crops").iterdir())) == 10


def test_a_video_as_json_lines(predict, clip: Path) -> None:
    documents = [json.loads(line) for line in predict(clip, "--json").stdout.splitlines()]
    assert [document["frame"] for document in documents] == list(range(10))
    assert [document["time_s"] for document in documents] == pytest.approx([index / 25 for index in range(10)])
    assert {face["id"] for document in documents for face in document["faces"]} == {1}


def test_images_and_videos_in_one_folder(predict, album: Path, clip: Path, tmp_path: Path) -> None:
    for name, source in (("a.png", album / "one.png"), ("b.mp4", clip), ("c.png", album / "empty.png")):
        (tmp_path / "mixed" / "deep").mkdir(parents=True, exist_ok=True)
        (tmp_path / "mixed" / "deep" / name).write_bytes(source.read_bytes())
    result = predict(tmp_path / "mixed", "--json", "--save", tmp_path / "out", "--plot", tmp_path / "plots")
    assert result.exit_code == 0, result.output
    names = [Path(json.loads(line)["path"]).name for line in result.stdout.splitlines()]
    assert names == ["a.png", *["b.mp4"] * 10, "c.png"]
    written = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.glob("[op]*/**/*.*"))
    assert written == ["out/deep/a.png", "out/deep/b.mp4", "out/deep/c.png", "plots/deep/b.png"]


def test_no_input_is_overwritten_by_a_plot(predict, album: Path, clip: Path, tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(clip.read_bytes())
    write_image(tmp_path / "clip.png", read_image(album / "empty.png"))
    result = predict(tmp_path / "clip.mp4", tmp_path / "clip.png", "--plot", tmp_path)
    assert result.exit_code == 1
    assert f"{tmp_path}/clip.png: would overwrite an input file" in result.stderr
    assert read_image(tmp_path / "clip.png").shape == (120, 100, 3)


def test_a_broken_video_is_an_error(predict, tmp_path: Path) -> None:
    (tmp_path / "no.mp4").write_bytes(b"rubbish" * 99)
    result = predict(tmp_path / "no.mp4", "--save", tmp_path / "out.mp4")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.splitlines()[0].startswith(f"Error: {tmp_path}/no.mp4: cannot be read as a video")
    assert not (tmp_path / "out.mp4").exists()


def test_without_a_path(predict) -> None:
    result = CliRunner().invoke(cli, ["predict"])
    assert result.exit_code == 2
    assert "Missing argument 'PATH...'" in result.stderr


@pytest.mark.parametrize("color", [True, False])
def test_no_color_disables_colors(album: Path, trained, color: bool) -> None:
    environment = {**os.environ, "FORCE_COLOR": "1", "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    environment.pop("NO_COLOR", None)
    environment |= {} if color else {"NO_COLOR": "1"}
    words = ["-m", "fer_lmdb", "predict", str(album / "one.png"), "--model", str(trained.run.path)]
    done = subprocess.run([sys.executable, *words], capture_output=True, env=environment, check=True)
    assert (b"\x1b[38;2;" in done.stdout) is color
    assert "█".encode() in done.stdout or "▏".encode() in done.stdout


def test_bars() -> None:
    assert bar(0) == ""
    assert bar(1) == "█" * 30
    assert bar(0.5) == "█" * 15
    assert bar(1 / 30 / 8) == "▏"
    assert bar(0.5, ascii_only=True) == "#" * 15


def test_the_group_photograph(predict, shared: Path) -> None:
    result = predict(shared / "photos" / "group.jpg", "--json")
    (document,) = map(json.loads, result.stdout.splitlines())
    assert len(document["faces"]) in (6, 7)
