"""What the tab key offers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

import prototxt_like as pl
from fer_lmdb.cli import COMMANDS, cli
from fer_lmdb.cli.completion import SHELLS, completion_script
from fer_lmdb.faces.detectors.registry import DETECTORS
from fer_lmdb.models.registry import list_pretrained


def offered(line: str) -> list[str]:
    """Return what would be offered at the end of a line."""
    words = line.split(" ")[1:]
    asked = ShellComplete(cli, {}, "fer-lmdb", "_FER_LMDB_COMPLETE")
    return [item.value for item in asked.get_completions(words[:-1], words[-1])]


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """A folder with a run and a data set, in which the shell stands."""
    for file in ("runs/mine/run.json", "runs/mine/best.safetensors", "runs/fresh/run.json", "data/plain/manifest.json"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_commands_options_and_choices_are_offered():
    assert set(offered("fer-lmdb ")) == set(COMMANDS)
    assert offered("fer-lmdb pred") == ["predict"]
    assert "--epochs" in offered("fer-lmdb train --ep")
    assert offered("fer-lmdb evaluate --split v") == ["val"]
    assert offered("fer-lmdb completion z") == ["zsh"]


@pytest.mark.parametrize("line", ["predict --model ", "watch --model ", "evaluate ", "export "])
def test_models_are_shipped_ones_and_runs(project, line):
    assert offered(f"fer-lmdb {line}") == [*list_pretrained(), "runs/mine"]


def test_nets_runs_data_sets_and_detectors_are_offered(project):
    assert offered("fer-lmdb train --model ") == pl.zoo.names()
    assert offered("fer-lmdb train --run ") == ["fresh", "mine"]
    assert offered("fer-lmdb train --data d") == ["data/plain"]
    assert offered("fer-lmdb predict --detector ") == [*DETECTORS, "none"]


def test_where_no_name_fits_files_are_completed(project):
    asked = ShellComplete(cli, {}, "fer-lmdb", "_FER_LMDB_COMPLETE")
    (item,) = asked.get_completions(["predict", "--model"], "elsewhere/")
    assert (item.type, item.value) == ("file", "elsewhere/")


def test_an_unknown_command_offers_nothing_and_says_nothing():
    assert set(offered("fer-lmdb trian ")) <= set(COMMANDS)


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_printed_for_every_shell(shell):
    result = CliRunner().invoke(cli, ["completion", shell])
    assert result.exit_code == 0
    assert result.output.strip() == completion_script(shell).strip()
    assert f"_FER_LMDB_COMPLETE={shell}_complete" in result.output


def test_the_shell_in_use_is_taken_unless_one_is_named():
    ours = CliRunner().invoke(cli, ["completion"], env={"SHELL": "/usr/bin/zsh"})
    assert ours.output.strip() == completion_script("zsh").strip()
    unknown = CliRunner().invoke(cli, ["completion"], env={"SHELL": "/bin/tcsh"})
    assert unknown.exit_code == 2
    assert "tcsh" in unknown.output


def test_completing_loads_neither_torch_nor_numpy(project):
    code = (
        "import sys\nfrom fer_lmdb.cli import main\n"
        "try:\n main([])\nexcept SystemExit: pass\n"
        "print([name for name in ('torch', 'numpy', 'PIL') if name in sys.modules], file=sys.stderr)"
    )
    environment = {
        **os.environ,
        "_FER_LMDB_COMPLETE": "bash_complete",
        "COMP_WORDS": "fer-lmdb predict --model ",
        "COMP_CWORD": "3",
    }
    start = f"import sys; sys.argv = ['fer-lmdb']\n{code}"
    done = subprocess.run([sys.executable, "-c", start], capture_output=True, text=True, env=environment)
    assert done.stdout.split() == [f"plain,{name}" for name in (*list_pretrained(), "runs/mine")]
    assert done.stderr.strip() == "[]"


#: Each presses the tab key after "fer-lmdb evaluate --split t", as far as that goes without a terminal.
PRESS_TAB = {
    "bash": """
        eval "$(fer-lmdb completion bash)"
        complete -p fer-lmdb >/dev/null || exit 3
        COMP_WORDS=(fer-lmdb evaluate --split t) COMP_CWORD=3
        _fer_lmdb_completion fer-lmdb t --split
        printf '%s\\n' "${COMPREPLY[@]}"
    """,
    "zsh": """
        autoload -Uz compinit && compinit -u -D
        eval "$(fer-lmdb completion zsh)"
        compadd() { print -l -- "${completions[@]}" }
        words=(fer-lmdb evaluate --split t) CURRENT=4
        _fer_lmdb_completion
    """,
    "fish": """
        fer-lmdb completion fish | source
        complete --do-complete "fer-lmdb evaluate --split t"
    """,
}


@pytest.mark.parametrize("shell", SHELLS)
def test_the_shell_itself_completes_with_the_script(shell, project):
    path = shutil.which(shell)
    if path is None:
        pytest.skip(f"needs {shell}: apt-get install {shell}")
    program = project / "bin" / "fer-lmdb"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m fer_lmdb "$@"\n')
    program.chmod(0o755)
    environment = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}", "HOME": str(project)}
    bare = {"bash": "--norc", "zsh": "-f", "fish": "--no-config"}[shell]
    done = subprocess.run([path, bare, "-c", PRESS_TAB[shell]], capture_output=True, text=True, env=environment)
    assert sorted(done.stdout.split()) == ["test", "train"], done.stderr
