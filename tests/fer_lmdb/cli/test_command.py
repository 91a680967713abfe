"""Features of every command: examples, environment variables, suggestions, -v and -q."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from fer_lmdb.cli import COMMANDS, cli
from fer_lmdb.cli.command import Command, options_given


def run(*arguments, **environment):
    return CliRunner().invoke(cli, list(arguments), env=environment, prog_name="fer-lmdb")


def command(name) -> click.Command:
    found = cli.get_command(click.Context(cli), name)
    assert found is not None
    return found


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_shows_examples_that_fit_a_terminal(name):
    result = run(name, "--help")
    assert isinstance(command(name), Command)
    examples = result.output.split("\nExamples:\n")[1].split("\n\n")[0].splitlines()
    assert sum(f"fer-lmdb {name}" in line for line in examples) >= 2
    assert all(len(line) <= 90 for line in examples)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_a_variable_of_its_own_and_a_help(name):
    options = [parameter for parameter in command(name).params if isinstance(parameter, click.Option)]
    variables = [option.envvar for option in options]
    assert len(set(variables)) == len(options)
    assert all(re.fullmatch(f"FER_LMDB_{name.upper()}_[A-Z0-9_]+", variable) for variable in variables)
    assert [option.name for option in options if not option.help] == []


def test_a_variable_sets_an_option_and_the_command_line_takes_precedence(tmp_path):
    assert "no-such-data" in run("train", FER_LMDB_TRAIN_DATA="no-such-data").output
    typed = run("train", "--data", "typed-data", FER_LMDB_TRAIN_DATA="no-such-data").output
    assert "typed-data" in typed
    assert "no-such-data" not in typed


def test_the_variable_follows_the_flag_and_not_the_parameter_name():
    assert '"shipped": true' in run("models", FER_LMDB_MODELS_JSON="1").output


def test_an_unknown_variable_causes_a_warning_with_a_suggestion():
    result = run("train", "--data", "nothing", FER_LMDB_TRAIN_EPOCH="3")
    assert (
        "Warning: environment variable FER_LMDB_TRAIN_EPOCH is not an option; did you mean "
        '"FER_LMDB_TRAIN_EPOCHS"?' in result.stderr
    )


def test_an_invalid_value_of_a_variable_is_wrong_usage():
    result = run("train", FER_LMDB_TRAIN_EPOCHS="many")
    assert result.exit_code == 2
    assert "many" in result.output


@click.command("train", cls=Command)
@click.option("--batch-size", type=int)
@click.option("--clip", type=float)
def half_renamed(batch_size, clip):
    """A command that has one new option and one old one."""


def test_an_old_option_is_an_error_that_names_the_new_one():
    for words in (["--batch", "64"], ["--batch=64"]):
        result = CliRunner().invoke(half_renamed, words)
        assert result.exit_code == 2
        assert "Error: --batch is now --batch-size\n" in result.output
    assert CliRunner().invoke(half_renamed, ["--clip", "1", "--batch-size", "64"]).exit_code == 0


def test_an_old_variable_is_an_error_that_names_the_new_one():
    result = CliRunner().invoke(half_renamed, env={"FER_LMDB_TRAIN_BATCH": "64"})
    assert result.exit_code == 2
    assert "Error: environment variable FER_LMDB_TRAIN_BATCH is now FER_LMDB_TRAIN_BATCH_SIZE\n" in result.output
    assert CliRunner().invoke(half_renamed, env={"FER_LMDB_TRAIN_CLIP": "1"}).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "suggestion"),
    [
        (["trian"], 'did you mean "train"?'),
        (["train", "--epoch", "3"], "--epochs"),
        (["evaluate", "face_emotion_net", "--split", "vall"], 'did you mean "val"?'),
        (["build", "--label-scheme", "feplus"], 'did you mean "ferplus"?'),
        (["completion", "bsh"], 'did you mean "bash"?'),
    ],
)
def test_wrong_usage_gets_a_suggestion(arguments, suggestion):
    result = run(*arguments)
    assert result.exit_code == 2
    assert suggestion in result.output
    assert "Try 'fer-lmdb" in result.output


@pytest.mark.parametrize(
    ("arguments", "suggestion"),
    [
        (["export", "face_emotoin_net", "--out", "x"], 'did you mean "face_emotion_net"?'),
        (["predict", "gradient.png", "--detector", "mtcn"], 'did you mean "mtcnn"?'),
        (["predict", "gradient.png", "--model", "runs/min"], 'did you mean "runs/mine"?'),
        (["train", "--resume", "--run", "mien"], 'did you mean "runs/mine"?'),
        (["train", "--data", "data/fer2031"], 'did you mean "data/fer2013"?'),
        (["train", "--data", "data/elsewhere"], "create one with: fer-lmdb build"),
    ],
)
def test_an_unknown_name_is_an_error_with_a_suggestion(arguments, suggestion, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _image().save("gradient.png")
    for name in ("runs/mine/best.safetensors", "runs/mine/run.json", "data/fer2013/manifest.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    result = run(*arguments)
    assert result.exit_code == 1
    assert suggestion in result.output


def test_a_file_instead_of_a_command_suggests_predict(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photo.jpg").write_bytes(b"")
    result = run("photo.jpg")
    assert result.exit_code == 2
    assert "did you mean: fer-lmdb predict photo.jpg" in result.output


def test_version_prints_the_versions_for_a_bug_report():
    from fer_lmdb import __version__

    result = run("--version")
    assert result.exit_code == 0
    assert re.fullmatch(rf"fer-lmdb {re.escape(__version__)} \(Python [\d.]+\S*, torch \S+\)\n", result.output)


@pytest.mark.parametrize("arguments", [["-v", "models"], ["models", "--verbose"]])
def test_verbose_prints_versions_options_and_time_on_stderr(arguments):
    result = run(*arguments, FER_LMDB_MODELS_JSON="1")
    assert result.stdout == run("models", "--json").stdout
    assert re.search(r"fer-lmdb \S+ \(Python .*processors\n  --json True  \(environment\)\n", result.stderr)
    assert re.search(r"models took \d+\.\d s", result.stderr)


def test_two_verbose_flags_show_the_traceback(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "fer_lmdb", "inspect", str(tmp_path / "nothing"), "-vv"], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "Traceback (most recent call last)" in done.stderr


def test_a_variable_sets_the_verbosity_of_every_command():
    assert "models took" in run("models", FER_LMDB_VERBOSE="1").stderr
    assert run("models", "-q", FER_LMDB_VERBOSE="1").stderr == ""
    assert "models took" in run("-v", "models", FER_LMDB_QUIET="1").stderr


def test_quiet_omits_progress_and_hints_but_not_results_and_errors(tmp_path):
    images = tmp_path / "faces"
    for name in ("train/happy/1", "train/sad/2", "val/happy/3", "val/sad/4", "test/happy/5", "test/sad/6"):
        file = images / f"{name}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        _image().save(file)
    built = run("build", str(images), "--detector", "none", "--out", str(tmp_path / "loud"))
    assert "Next: fer-lmdb train" in built.stderr
    quiet = run("build", str(images), "--detector", "none", "--out", str(tmp_path / "quiet"), "-q")
    assert quiet.exit_code == 0
    assert quiet.stderr == ""
    assert "happy" in quiet.stdout
    again = run("-q", "build", str(images), "--detector", "none", "--out", str(tmp_path / "quiet"))
    assert again.exit_code == 1
    assert "Error:" in again.stderr


def _image():
    from PIL import Image

    return Image.linear_gradient("L").resize((48, 48))


@pytest.mark.parametrize("no_color", ["", "1"])
def test_no_color_disables_colors(no_color, tmp_path):
    code = (
        "from fer_lmdb.cli import cli; import click\n"
        "@click.command('paint')\n"
        "def paint(): click.secho('red', fg='red', color=None)\n"
        "cli.summaries = {**cli.summaries, 'paint': ''}\n"
        "found = cli.get_command\n"
        "cli.get_command = lambda context, name: paint if name == 'paint' else found(context, name)\n"
        "import sys; sys.stdout.isatty = lambda: True\n"
        "cli.main(['paint'])\n"
    )
    environment = {**os.environ, "NO_COLOR": no_color}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert ("\x1b[31m" in done.stdout) is (no_color == "")


@click.command()
@click.option("--mirror/--no-mirror", default=True)
@click.option("-t", "--tta", type=int, default=1)
@click.option("--teacher", multiple=True)
@click.pass_context
def typed(context, **_options):
    return options_given(context)


@pytest.mark.parametrize(
    ("words", "again"),
    [
        ([], []),
        (["--no-mirror"], ["--no-mirror"]),
        (["--mirror", "-t", "1"], ["--mirror", "--tta", "1"]),
        (["--teacher", "a", "--teacher", "b c"], ["--teacher", "a", "--teacher", "b c"]),
    ],
)
def test_options_given_returns_the_typed_options(words, again):
    assert typed.main(words, standalone_mode=False) == again
