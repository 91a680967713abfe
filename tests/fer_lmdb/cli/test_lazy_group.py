"""Features of all commands: help, errors, exit codes."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner

from fer_lmdb.cli import COMMANDS, cli, main


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_a_json_option(name):
    result = CliRunner().invoke(cli, [name, "--help"])
    assert result.exit_code == 0
    assert "--json" in result.output
    assert result.output.startswith(f"Usage: cli {name}")


def test_help_lists_the_commands_in_order_without_importing_torch():
    code = (
        "import sys; from fer_lmdb.cli import main\n"
        "try:\n main(['--help'])\nfinally:\n assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    places = [done.stdout.index(f"\n  {name} ") for name in COMMANDS]
    assert places == sorted(places)


def test_a_mistyped_command_gets_a_suggestion():
    result = CliRunner().invoke(cli, ["trian"])
    assert result.exit_code == 2
    assert 'did you mean "train"?' in result.output


def test_an_expected_error_is_one_line_and_exit_code_1(tmp_path, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["train", "--data", str(tmp_path / "nothing")])
    assert exit_.value.code == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_debug_shows_the_traceback(tmp_path, monkeypatch):
    from fer_lmdb.errors import DataSetError

    monkeypatch.setenv("FER_LMDB_DEBUG", "1")
    with pytest.raises(DataSetError):
        main(["train", "--data", str(tmp_path / "nothing")])
