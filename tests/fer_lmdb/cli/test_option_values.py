"""Values of options are checked before anything is read or written, for every command."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from fer_lmdb.cli import COMMANDS, cli
from fer_lmdb.cli.numbers import FiniteFloat, Int64, Integer, Number, NumberList
from fer_lmdb.cli.types import Device

POSITIONAL = {
    "build": ["missing.csv"],
    "join": ["missing", "other", "--out", "new"],
    "inspect": ["missing"],
    "evaluate": ["missing"],
    "report": ["missing"],
    "predict": ["missing.jpg"],
    "watch": ["missing.mp4", "--no-window", "--json"],
    "export": ["missing", "--out", "new.onnx"],
    "completion": ["bash"],
}
NOT_NUMBERS = ["nan", "inf", "-inf", "1e999", "9" * 300, "9" * 5000, "", "x", "1,nan", "0x", "１e400"]
NOT_DEVICES = ["meta", "cuda:x", "cuda:-1", "cpu:", "", "gpu", "lazy", "CPU", "cuda:99999", "cpu\n"]


def command(name: str) -> click.Command:
    found = cli.get_command(click.Context(cli), name)
    assert found is not None
    return found


def options_of(*types: type[click.ParamType]) -> list[tuple[str, str]]:
    return [
        (name, max(option.opts, key=len))
        for name in COMMANDS
        for option in command(name).params
        if isinstance(option, click.Option) and isinstance(option.type, types) and not option.count
    ]


NUMBERS = options_of(Number, Integer, FiniteFloat, Int64, NumberList)
DEVICES = options_of(Device)


def reject(tmp_path, monkeypatch, name: str, *arguments: str) -> str:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cli, [name, *POSITIONAL.get(name, []), *arguments], prog_name="fer-lmdb")
    assert result.exit_code == 2 and isinstance(result.exception, SystemExit), result.output[-500:]
    assert list(tmp_path.iterdir()) == []
    return result.output


def test_no_option_has_a_number_type_that_accepts_nan():
    plain = (click.FloatRange, click.IntRange, click.types.FloatParamType, click.types.IntParamType)
    odd = [
        (name, option.name)
        for name in COMMANDS
        for option in command(name).params
        if type(option.type) in plain and not getattr(option, "count", False)
    ]
    assert odd == []
    assert len(NUMBERS) > 50 and len(DEVICES) >= 7


@pytest.mark.parametrize(("name", "flag"), NUMBERS)
def test_numbers_that_are_none_are_wrong_usage(tmp_path, monkeypatch, name, flag):
    for value in NOT_NUMBERS:
        output = reject(tmp_path, monkeypatch, name, f"{flag}={value}")
        assert f"Invalid value for '{flag}'" in output.replace("\n", " ")
        assert len(output) < 6000


@pytest.mark.parametrize(("name", "flag"), DEVICES)
def test_devices_that_are_none_are_wrong_usage(tmp_path, monkeypatch, name, flag):
    for value in NOT_DEVICES:
        assert "invalid device: found" in reject(tmp_path, monkeypatch, name, f"{flag}={value}")


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("serve", ["--seconds", "nan"], "found nan, expected a number from 0.1 to 86400"),
        ("serve", ["--max-mb", "nan"], "found nan, expected a number from 0.01 to 100"),
        ("build", ["--detector-threshold", "nan"], "found nan, expected a number from 0 to 1000000"),
        ("build", ["--margin", "1e9"], "found 1000000000.0, expected a number above -0.5 and at most 10"),
        ("build", ["--seed", "9" * 300], "expected an integer from 0 to 9.22337203685e+18"),
        ("train", ["--seed", "-1"], "--seed: found -1, expected an integer"),
        ("train", ["--mixup", "nan"], "found nan, expected a finite number"),
        ("train", ["--zoom", "2"], "--zoom: found 2.0, expected a number of at least 0 and below 1"),
        ("predict", ["--plot", "x.xyz"], 'found the ending ".xyz", expected one of .png .svg'),
        ("evaluate", ["--batch-accuracies", "--plot", "x.xyz"], 'found the ending ".xyz", expected one of .png .svg'),
        ("evaluate", ["--batch-accuracies", "--plot", "plot"], 'found the ending "", expected one of .png .svg'),
    ],
)
def test_messages(tmp_path, monkeypatch, name, arguments, said):
    output = reject(tmp_path, monkeypatch, name, *arguments)
    assert said in " ".join(output.split())
