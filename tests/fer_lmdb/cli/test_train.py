from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import pytest

from fer_lmdb.cli import main


def flags(options):
    return [
        "--model",
        options.model,
        "--data",
        options.data,
        "--precision",
        "float32",
        "--device",
        "cpu",
        "--batch-size",
        "15",
    ]


def run(arguments, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    captured = capsys.readouterr()
    return exit_.value.code, captured.out, captured.err


@pytest.mark.parametrize(("limit", "command"), [(1.0, "evaluate"), (0.0, "calibrate")])
def test_training_prints_its_result_on_stdout_and_the_next_command_on_stderr(
    limit, command, options, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("fer_lmdb.cli.train.MAX_CALIBRATION_ERROR", limit)
    code, out, err = run(["train", *flags(options), "--epochs", "1", "--run", str(tmp_path / "r"), "--json"], capsys)
    assert code == 0
    assert json.loads(out)["finished"] is True
    assert f"Next: fer-lmdb {command} {tmp_path / 'r'} --data {options.data}\n" in err
    assert ("Calibration error 0." in err) == (command == "calibrate")
    assert "epoch   1" in err


def test_ctrl_c_saves_prints_the_resume_command_and_exits_with_130(options, tmp_path):
    command = [
        sys.executable,
        "-m",
        "fer_lmdb",
        "train",
        *flags(options),
        "--epochs",
        "200",
        "--run",
        str(tmp_path / "r"),
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not (tmp_path / "r" / "log.jsonl").exists():
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Stopped and saved" in out
    assert f"fer-lmdb train --resume --run {tmp_path / 'r'}" in err
    assert "Traceback" not in err
    assert not list((tmp_path / "r").glob("*.partial"))


def test_resume_rejects_stored_options(tmp_path, capsys):
    code, _, err = run(["train", "--resume", "--run", str(tmp_path), "--epochs", "3", "--batch-size", "2"], capsys)
    assert code == 2
    assert "remove --epochs, --batch-size" in err


def test_a_run_that_exists_is_not_started_again(trained, options, capsys):
    code, _, err = run(["train", *flags(options), "--run", str(trained.run.path)], capsys)
    assert code == 1
    assert "--resume" in err


def test_resume_without_a_run_is_one_error_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code, _, err = run(["train", "--resume"], capsys)
    assert (code, err.count("\n")) == (1, 1)
    assert "fer-lmdb train" in err


def test_an_invalid_number_is_a_usage_error(options, tmp_path, capsys):
    code, _, err = run(["train", *flags(options), "--epochs", "0", "--run", str(tmp_path / "r")], capsys)
    assert code == 2
    assert "--epochs: found 0, expected an integer from 1 to 1000000" in err
    assert not (tmp_path / "r").exists()
