"""Data sets, runs, snapshots and models that version 0.1.0 wrote still load, go on and give the same figures.

README.md says what the material is. What was renamed since goes into the tables below; what is asserted stays.
"""

from __future__ import annotations

import json
import lzma
import shutil
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from safetensors.numpy import load_file

from fer_lmdb import renames
from fer_lmdb.cli import cli, main, suggest
from tests.archives import unpack

HERE = Path(__file__).parent
EXPECTED = json.loads(lzma.decompress((HERE / "expected.json.xz").read_bytes()))

KEYS: dict[str, list[str]] = {}
"""Keys of printed documents: version 0.1.0 -> now, which depends on the document. It may also contain the old one."""
for names in renames.STORED.values():
    for old, new in names.items():
        KEYS.setdefault(old, []).append(new)
VALUES = {
    ("teacher_sees", "faces"): "offline",
    ("teacher_sees", "batches"): "online",
    ("state", "kept"): "unaligned",
    ("source", "measured for this report"): "evaluated for this report",
}
"""Values by the old name of their key."""
NEW_NAMES = renames.FILES
"""Files that the new version writes to a run folder; the old ones are still read."""


def new_names(command: list[str]) -> list[str]:
    """Return a command line of version 0.1.0 with the options of this version."""
    parsed = cli.get_command(click.Context(cli), command[0])
    assert parsed is not None
    options = suggest.renamed_options(parsed)
    return [options.get(word, word) for word in command]


MISSING_BATCH = "the first batch was not saved: the run was trained with an older version of fer-lmdb"

# A run's last step was seconds ago or years ago, on this processor or another one: floats agree to so many digits.
CLOSE = 2e-3
SURE = 0.02
"""Of probabilities of a face that was found, turned and scaled anew."""


@pytest.fixture(scope="module")
def material(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("legacy")
    unpack(HERE / "material.tar.xz", folder)
    return folder


@pytest.fixture
def copy(material, tmp_path, monkeypatch) -> Path:
    """A copy of the material, and the working folder."""
    shutil.copytree(material, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(capsys):
    """Run a command with --json; give the documents that it prints."""

    def run(*command: str) -> list[dict[str, Any]]:
        with pytest.raises(SystemExit) as exit_:
            main([*new_names(list(command)), "--json"])
        captured = capsys.readouterr()
        assert exit_.value.code == 0, captured.err
        try:
            return [json.loads(captured.out)]
        except ValueError:
            return [json.loads(line) for line in captured.out.splitlines()]

    return run


def differences(expected: Any, found: Any, close: float, key: str = "", where: str = "") -> list[str]:
    """Say in what a document differs from the recorded one; it may have keys that are new."""
    if isinstance(expected, dict) and isinstance(found, dict):
        told = []
        for name, value in expected.items():
            there = [each for each in (*KEYS.get(name, []), name) if each in found]
            told += (
                differences(value, found[there[0]], close, name, f"{where}/{name}")
                if there
                else [f"{where}/{name} is missing"]
            )
        return told
    if isinstance(expected, list) and isinstance(found, list):
        if len(expected) != len(found):
            return [f"{where}: {found} instead of {expected}"]
        pairs = enumerate(zip(expected, found, strict=True))
        return [line for i, (one, other) in pairs for line in differences(one, other, close, key, f"{where}/{i}")]
    if isinstance(expected, float) and isinstance(found, int | float):
        return [] if found == pytest.approx(expected, rel=close, abs=close) else [f"{where}: {found}, not {expected}"]
    if isinstance(expected, str):
        renamed = VALUES.get((key, expected), expected), new_path(expected), expected
        return [] if found in renamed else [f"{where}: {found!r} instead of {expected!r}"]
    return [] if expected == found else [f"{where}: {found!r} instead of {expected!r}"]


def new_path(path: str) -> str:
    return "/".join(NEW_NAMES.get(part, part) for part in path.split("/"))


def value(document: dict[str, Any], key: str) -> Any:
    """Return the value of a key, under its new name or its old one."""
    return next((document[name] for name in (*KEYS.get(key, []), key) if name in document), None)


def stored(folder: Path, name: str) -> Path:
    """A file or folder of a run, under its old name or the new one."""
    new = folder / NEW_NAMES[name]
    return new if new.exists() else folder / name


def without_first_batch(document: dict[str, Any]) -> dict[str, Any]:
    """Return an expected report without the augmented batch, which runs of version 0.1.0 did not save."""
    if document["kind"] != "run":
        return document
    files = [name for name in document["files"] if not name.startswith("augmented-batch")]
    return {**document, "files": files, "missing": {"Augmented batch": MISSING_BATCH}}


def learned_from(figures: dict[str, Any]) -> Any:
    """The models that are said to know the faces."""
    return value(figures, "learnt_from_them")


def asked(*stages: str) -> list[Any]:
    return [
        pytest.param(each["command"], each["answer"], id=" ".join(each["command"]))
        for each in EXPECTED["answers"]
        if each["command"][0] in stages
    ]


@pytest.mark.parametrize(("command", "answer"), asked("inspect", "evaluate", "report", "export"))
def test_a_command_answers_as_it_did(copy, run, command, answer):
    if command[0] == "report":
        answer = [without_first_batch(document) for document in answer]
    assert differences(answer, run(*command), CLOSE) == []
    if command[0] in ("report", "export"):
        found = answer[0]
        files = [found["report"]] if "report" in found else found["files"]
        assert all(Path(file).stat().st_size for file in files)


@pytest.mark.parametrize(("command", "answer"), asked("predict"))
def test_a_picture_is_recognized_as_it_was(copy, run, command, answer):
    [found], [expected] = run(*command), answer
    places = ("box", "landmarks")
    for face, before in zip(found["faces"], expected["faces"], strict=True):
        for place in places:
            np.testing.assert_allclose(face[place], before.pop(place), atol=0.5)
        likely = before["probabilities"]
        assert likely[face["expression"]] >= likely[before.pop("expression")] - 2 * SURE
        assert differences(before, face, SURE) == []


def test_evaluations_go_on_the_record_that_holds_the_old_ones(copy, run):
    folder = Path("runs/cosine")
    before = (folder / "figures.jsonl").read_text().splitlines()
    run("evaluate", "runs/cosine", "--data", "data/faces", "--split", "test")
    [found] = run("inspect", "runs/cosine")
    figures = value(found, "figures")
    assert {(one["split"], one["tta"]) for one in figures} == {
        ("train", 1),
        ("val", 1),
        ("test", 1),
        ("test", 4),
        ("test", 10),
    }
    names = {"figures.jsonl", NEW_NAMES["figures.jsonl"]}
    after = [line for name in names if (folder / name).exists() for line in (folder / name).read_text().splitlines()]
    assert len(after) == len(before) + 1
    assert set(before) <= set(after)


def test_an_exported_model_carries_the_figures_on_record_and_gives_the_same_answers(copy, run):
    run("export", "runs/plain", "--format", "safetensors", "--out", "again.safetensors")
    told = [run("inspect", path)[0] for path in ("models/half.safetensors", "again.safetensors")]
    facts = [value(document, "facts") for document in told]
    assert value(facts[0], "figures")
    assert differences(facts[0], facts[1], CLOSE) == []
    of = ("evaluate", "--data", "data/plain", "--split", "test")
    [old], [new] = run(*of, "models/half.safetensors"), run(*of, "again.safetensors")
    assert old["confusion"] == new["confusion"]


def test_weights_are_not_fitted_on_faces_that_one_of_the_models_learned_from(copy, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(new_names(["evaluate", "runs/cosine", "runs/tuned", "--data", "data/joined", "--fit-weights"]))
    assert exit_.value.code == 1
    assert "runs/tuned" in capsys.readouterr().err


def test_what_a_model_began_with_knows_the_faces_for_it(copy, run):
    """runs/votes learned from the training split alone, but began as runs/tuned, which learned from val as well."""
    [described] = run("inspect", "runs/votes/best.safetensors")
    init = value(described, "facts")["init"]
    assert value(init, "fresh") == ["score"]
    assert list(value(init, "learnt_from").values()) == [["train", "val"]]
    [figures] = run("evaluate", "runs/votes", "--data", "data/ferplus")
    assert learned_from(figures) == ["runs/votes"]


@pytest.mark.parametrize("name", EXPECTED["interrupted"])
def test_an_interrupted_run_goes_on_and_ends_as_the_one_that_was_not(copy, run, name):
    whole, cut = Path("runs", name), Path("runs", f"{name}-cut")
    if name == "taught":  # what the teachers said lies in the run; they are not asked again
        for teacher in ("cosine", "plain"):
            shutil.rmtree(Path("runs", teacher))
    if name == "tuned":  # so do the weights that it began with
        shutil.rmtree("runs/cosine")
    [result] = run("train", "--resume", "--run", str(cut))
    assert result["finished"] is True
    check_same_log(whole, cut)
    for path in [*whole.glob("*st.safetensors"), *stored(whole, "kept").glob("*.safetensors")]:
        other = (cut if path.parent == whole else stored(cut, "kept")) / path.name
        if not other.exists():  # kept before the interruption, under the old name
            other = cut / "kept" / path.name
        check_same_weights(path, other)
    # Its solver's state as well: the moments of the gradients, the averages, the place in the data.
    check_same_weights(whole / "snapshot.safetensors", cut / "snapshot.safetensors")


def check_same_log(whole: Path, cut: Path) -> None:
    logs = [[json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()] for folder in (whole, cut)]
    assert len(logs[0]) == len(logs[1])
    for expected, found in zip(*logs, strict=True):
        accuracies = [record.pop("val_accuracy", 0) for record in (expected, found)]
        assert accuracies[0] == pytest.approx(accuracies[1], abs=1.5 / 37)  # one face of 37
        assert differences(expected, found, CLOSE) == []


def check_same_weights(expected: Path, found: Path) -> None:
    one, other = load_file(expected), load_file(found)
    assert one.keys() == other.keys()
    for key, blob in one.items():
        np.testing.assert_allclose(other[key], blob, rtol=CLOSE, atol=CLOSE / 10, err_msg=f"{found}: {key}")


def test_a_finished_run_has_nothing_to_go_on_with(copy, run):
    before = load_file("runs/cosine/last.safetensors")
    [result] = run("train", "--resume", "--run", "runs/cosine")
    assert (result["finished"], result["epochs"]) == (True, 24)
    after = load_file("runs/cosine/last.safetensors")
    assert all((after[key] == blob).all() for key, blob in before.items())


def test_new_runs_begin_with_old_models_and_learn_from_them(copy, run):
    for net in Path("runs/cosine").glob("*.prototxt"):
        Path("net").mkdir(exist_ok=True)
        shutil.copy(net, "net")
    same = ["--model", "net", "--data", "data/faces", "--precision", "float32", "--device", "cpu", "--epochs", "1"]
    began = ["--init", "runs/tuned", "--teacher", "models/half.safetensors", "--teacher-data", "data/plain"]
    run("train", "--run", "runs/new", *same, *began)
    [figures] = run("evaluate", "runs/new", "--data", "data/faces")
    assert learned_from(figures) == ["runs/new"]


def test_old_data_sets_are_joined(copy, run):
    [document] = run("join", "data/faces", "data/plain", "--train-only", "--out", "both")
    before = json.loads(Path("data/joined/manifest.json").read_text())
    assert {split: each["sha256"] for split, each in document["splits"].items()} == {
        split: each["sha256"] for split, each in before["splits"].items()
    }
