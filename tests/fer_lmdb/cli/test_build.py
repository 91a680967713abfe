"""The build command: table, JSON and exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_lmdb.cli import main
from fer_lmdb.data.sources.synthetic import write_synthetic_csv


@pytest.fixture(scope="module")
def csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("csv") / "drawn.csv"
    write_synthetic_csv(path, train=35, val=7, test=7)
    return path


def run(arguments, capsys) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main(["build", *map(str, arguments)])
    captured = capsys.readouterr()
    return int(stopped.value.code or 0), captured.out, captured.err


def test_table_on_stdout_and_next_command_on_stderr(csv: Path, tmp_path: Path, capsys) -> None:
    code, out, err = run([csv, "--detector", "none", "--out", tmp_path / "data"], capsys)
    assert code == 0
    assert "0 angry" in out
    assert "49 images in" in out
    assert f"Next: fer-lmdb train --epochs 150 --data {tmp_path}/data" in err


def test_paths_with_spaces_are_quoted_in_the_next_command(csv: Path, tmp_path: Path, capsys) -> None:
    err = run([csv, "--detector", "none", "--out", tmp_path / "my data"], capsys)[2]
    assert f"--data '{tmp_path}/my data'\n" in err


def test_json(csv: Path, tmp_path: Path, capsys) -> None:
    code, out, _ = run([csv, "--detector", "none", "--out", tmp_path / "data", "--json", "--seed", "3"], capsys)
    document = json.loads(out)
    assert code == 0
    assert (document["seed"], document["splits"]["train"]["count"]) == (3, 35)
    assert document["data"] == str(tmp_path / "data")
    manifest = json.loads((tmp_path / "data" / "manifest.json").read_text())
    assert manifest == {key: document[key] for key in manifest}


def test_the_default_folder_is_named_after_the_source(csv: Path, tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run([csv, "--detector", "none"], capsys)[0] == 0
    assert (tmp_path / "data" / "drawn" / "manifest.json").is_file()


def test_the_manifest_contains_the_preprocessing(csv: Path, tmp_path: Path, capsys) -> None:
    settings = {"margin": -0.08, "fill": "black", "threshold": 0.9, "align": "box", "min_face": 24}
    flags = ["--margin", "-0.08", "--fill", "black", "--detector-threshold", "0.9", "--align", "box"]
    code, out, _ = run([csv, "--out", tmp_path / "data", "--json", *flags, "--min-face", "24"], capsys)
    assert code == 0
    assert json.loads(out)["preprocessing"].items() >= settings.items()


def test_a_second_build_needs_force(csv: Path, tmp_path: Path, capsys) -> None:
    arguments = [csv, "--detector", "none", "--out", tmp_path / "data"]
    run(arguments, capsys)
    code, out, err = run(arguments, capsys)
    assert (code, out) == (1, "")
    assert err.startswith("Error: ") and "--force" in err and err.count("\n") == 1
    assert run([*arguments, "--force"], capsys)[0] == 0


def test_images_only(csv: Path, tmp_path: Path, capsys) -> None:
    arguments = [csv, "--detector", "none", "--images", tmp_path / "images", "--images-only", "--json"]
    code, out, _ = run(arguments, capsys)
    assert code == 0
    assert json.loads(out)["images"] == str(tmp_path / "images")
    assert len(list((tmp_path / "images" / "aligned" / "train").rglob("*.png"))) == 35


@pytest.mark.parametrize(
    "flags",
    [
        ["--images-only"],
        ["--label-scheme", "nine"],
        ["--on-no-face", "cry"],
        ["--split-ratio", "80/30"],
        ["--size", "1"],
        ["--nonsense"],
    ],
)
def test_wrong_usage(csv: Path, capsys, flags: list[str]) -> None:
    assert run([csv, *flags], capsys)[0] == 2


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.zip", b"PK", "is an archive"),
        ("a.csv", b"a,b\n", "the header is"),
        ("missing.csv", None, "expected fer2013.csv, a folder"),
    ],
)
def test_other_sources(tmp_path: Path, capsys, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    code, _, err = run([tmp_path / name, "--detector", "none", "--out", tmp_path / "data"], capsys)
    assert code == 1
    assert message in err


def test_unknown_detector(csv: Path, tmp_path: Path, capsys) -> None:
    code, _, err = run([csv, "--detector", "eyes", "--out", tmp_path / "data"], capsys)
    assert code == 1
    assert "eyes" in err
    assert list(tmp_path.iterdir()) == []


def test_folders(tmp_path: Path, capsys) -> None:
    for name in ("happy", "sad"):
        for number in range(10):
            path = tmp_path / "faces" / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng(len(name) * 10 + number).integers(0, 256, (50, 60), np.uint8)
            Image.fromarray(pixels).save(path)
    arguments = [tmp_path / "faces", "--detector", "none", "--out", tmp_path / "data", "--json"]
    code, out, _ = run(arguments, capsys)
    assert code == 0
    assert [counts["count"] for counts in json.loads(out)["splits"].values()] == [16, 2, 2]


def test_votes(csv: Path, tmp_path: Path, capsys) -> None:
    rows = [row.rsplit(",", 1)[1] for row in csv.read_text().splitlines()[1:]]
    header = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\n"
    (tmp_path / "votes.csv").write_text(header + "".join(f"{usage},x,1,7,0,0,0,0,0,2,0,0\n" for usage in rows))
    flags = ["--detector", "none", "--label-scheme", "ferplus", "--ferplus", tmp_path / "votes.csv"]
    code, out, _ = run([csv, *flags, "--out", tmp_path / "data", "--json"], capsys)
    assert code == 0
    assert json.loads(out)["splits"]["val"]["per_class"]["happiness"] == 7
    assert (tmp_path / "data" / "val_votes_lmdb" / "data.mdb").is_file()


def test_exchanged_classes_are_noticed(tmp_path: Path, capsys) -> None:
    """Happy and sad are exchanged in the csv; FER+'s csv has the splits that it lacks."""
    write_synthetic_csv(tmp_path / "faces.csv", train=140, val=7, test=7)
    _, *rows = (tmp_path / "faces.csv").read_text().splitlines()
    fields = [row.split(",") for row in rows]
    order = ["anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral", "contempt", "unknown", "NF"]
    votes = [
        f"{usage},x,{','.join('9' if number == int(emotion) else '0' for number in range(10))}"
        for emotion, _, usage in fields
    ]
    (tmp_path / "votes.csv").write_text("\n".join([f"Usage,Image name,{','.join(order)}", *votes, ""]))
    swapped = [f"{str.translate(emotion, {51: 52, 52: 51})},{pixels}" for emotion, pixels, _ in fields]
    (tmp_path / "faces.csv").write_text("\n".join(["emotion,pixels", *swapped, ""]))
    flags = ["--detector", "none", "--ferplus", tmp_path / "votes.csv", "--out", tmp_path / "data"]
    code, out, err = run([tmp_path / "faces.csv", *flags, "--json"], capsys)
    assert code == 0
    assert 'Warning: the labels contradict FER+\'s votes: "happy" is mostly sad, "sad" is mostly happy; check' in err
    document = json.loads(out)
    assert document["source"]["exchanged_classes"] == {"happy": "sad", "sad": "happy"}
    assert {split: counts["count"] for split, counts in document["splits"].items()} == {
        "train": 140,
        "val": 7,
        "test": 7,
    }


def test_skip_invalid(csv: Path, tmp_path: Path, capsys) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text(csv.read_text() + "3,1 2 3,Training\n")
    arguments = [bad, "--detector", "none", "--out", tmp_path / "data"]
    code, _, err = run(arguments, capsys)
    assert code == 1
    assert f"{bad}:51: 3 pixels; expected 2304" in err
    code, out, err = run([*arguments, "--skip-invalid"], capsys)
    assert code == 0
    assert f"1 invalid samples were skipped; see {tmp_path}/data/unreadable.jsonl" in err
    assert "invalid" in out


def test_closed_streams_and_no_home(csv: Path, tmp_path: Path) -> None:
    """The build succeeds with a closed stderr, stdout into a broken pipe and no HOME."""
    command = f"{sys.executable} -m fer_lmdb build {csv} --detector none --force --out {tmp_path}/data"
    environment = {name: value for name, value in os.environ.items() if name != "HOME"}
    for redirected, codes in ((f"{command} 2>&-", {0}), (f"{command} | true", {0, 1})):
        done = subprocess.run(["bash", "-c", redirected], env=environment, capture_output=True, text=True)
        assert done.returncode in codes
        assert "Traceback" not in done.stderr
        assert (tmp_path / "data" / "manifest.json").is_file()
