"""Tests of `python -m prototxt_like test`, `time` and `device_query`, and of the command line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import prototxt_like as pl
from prototxt_like.tools.command_line import PROGRAMS, main
from prototxt_like.tools.flags import Command, Flag, UsageError
from tests.prototxt_like.tools.test_caffe_train import messages

NUMBER = r"[-+.\de]+"


def test_scores_of_every_batch_and_their_means(solver: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model = solver.parent / "net.prototxt"
    weights = solver.parent / "w.caffemodel"
    pl.save_weights(pl.Net(model, phase="TRAIN"), weights)
    assert main(["test", "-model", str(model), "-weights", str(weights), "-iterations", "2"]) == 0
    lines = messages(capfd.readouterr().err)
    start = lines.index("Running for 2 iterations.")
    batches = [line for line in lines[start:] if line.startswith("Batch")]
    assert [line.split(" = ")[0] for line in batches] == [
        "Batch 0, accuracy", "Batch 0, loss", "Batch 1, accuracy", "Batch 1, loss",
    ]  # fmt: skip
    losses = [float(line.split(" = ")[1]) for line in batches[1::2]]
    assert float(lines[-3].removeprefix("Loss: ")) == pytest.approx(sum(losses) / 4, rel=2e-5)
    assert re.fullmatch(rf"accuracy = {NUMBER}", lines[-2])
    assert re.fullmatch(rf"loss = {NUMBER} \(\* 0.5 = {NUMBER} loss\)", lines[-1])


def test_time_of_every_layer(solver: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["time", "-model", str(solver.parent / "net.prototxt"), "-iterations", "2"]) == 0
    lines = messages(capfd.readouterr().err)
    start = lines.index("Average time per layer: ")
    expected = [
        rf" *{name}\t{way}: {NUMBER} ms\." for name in ("data", "ip", "loss") for way in ("forward", "backward")
    ]
    expected += [rf"Average {way}: {NUMBER} ms\." for way in ("Forward pass", "Backward pass", "Forward-Backward")]
    expected += [rf"Total Time: {NUMBER} ms\.", r"\*\*\* Benchmark ends \*\*\*"]
    found = lines[start + 1 :]
    assert len(found) == len(expected)
    for line, pattern in zip(found, expected, strict=True):
        assert re.fullmatch(pattern, line), line


def test_phase_of_time(solver: Path, capfd: pytest.CaptureFixture[str]) -> None:
    main(["time", "-model", str(solver.parent / "net.prototxt"), "-iterations", "1", "-phase", "TEST"])
    assert any("accuracy\tforward" in line for line in messages(capfd.readouterr().err))
    assert main(["time", "-model", "x", "-phase", "test"]) == 2
    assert 'phase must be "TRAIN" or "TEST", found "test"' in capfd.readouterr().err


def test_device_query_without_devices(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["device_query"]) == 0
    assert messages(capfd.readouterr().err) == ["Querying GPUs "]


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_program_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    assert f"usage: python -m prototxt_like {name}" in capsys.readouterr().out


def test_unknown_program_and_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trian"]) == 2
    assert 'Unknown action: trian; did you mean "train"?' in capsys.readouterr().err
    assert main(["--help"]) == 0
    assert "  train" in capsys.readouterr().out


COMMAND = Command("IN OUT", "Test.", {"name": Flag("", ""), "count": Flag(1, ""), "gray": Flag(False, "")}, 1, 2)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["-name", "v", "in"], {"name": "v"}),
        (["in", "--name=v", "--count=7"], {"name": "v", "count": 7}),
        (["-gray", "in", "out"], {"gray": True}),
        (["--gray=false", "in"], {"gray": False}),
        (["--gray", "--nogray", "in"], {"gray": False}),
        (["-count", "-3", "in"], {"count": -3}),
        (["--", "-name"], {}),
    ],
)
def test_flags_in_all_forms_of_gflags(arguments: list[str], expected: dict[str, object]) -> None:
    values, _ = COMMAND.parse(arguments)
    assert values == {"name": "", "count": 1, "gray": False, **expected}


@pytest.mark.parametrize("arguments", [["-x", "in"], ["-count", "two", "in"], ["-gray=maybe", "in"], ["-name"], []])
def test_invalid_flags(arguments: list[str]) -> None:
    with pytest.raises(UsageError):
        COMMAND.parse(arguments)
