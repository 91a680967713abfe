"""Description of the machine, and the trial of its speed."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from fer_lmdb.cli import cli
from fer_lmdb.errors import DeviceError
from fer_lmdb.inspection import machine
from fer_lmdb.inspection.machine import describe_machine
from fer_lmdb.inspection.speed_trial import _rate, run_speed_trial
from fer_lmdb.runtime.device import resolve_dtype


def test_the_description_names_versions_defaults_and_missing_extras(monkeypatch) -> None:
    monkeypatch.setenv("FER_LMDB_TRAIN_EPOCHS", "3")
    monkeypatch.setenv("FER_LMDB_SERVE_TOKEN", "secret")
    monkeypatch.setattr(machine, "_version", lambda name: None if name == "ray" else "1.2")
    found = describe_machine("cpu")
    assert found["packages"]["torch"] == found["packages"]["lmdb"] == "1.2"
    assert found["extras"]["ray"] == ["ray"]
    assert found["extras"]["onnx"] == []
    assert found["environment"]["FER_LMDB_TRAIN_EPOCHS"] == "3"
    assert "secret" not in json.dumps(found)
    assert found["defaults"]["threads"] == torch.get_num_threads()
    cpu = torch.device("cpu")
    assert found["defaults"]["train_precision"] == str(resolve_dtype("auto", cpu)).removeprefix("torch.")
    assert found["processor"]["usable_cores"] <= found["processor"]["cores"]


def test_packages_of_extras_are_not_required() -> None:
    found = describe_machine("cpu")
    assert "ray" not in found["packages"]
    assert all(found["packages"].values())


def test_instruction_sets_come_from_pytorch(monkeypatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True, "amx_bf16": False}, raising=False)
    assert describe_machine("cpu")["processor"]["instruction_sets"] == ["avx2"]


def test_the_trial_measures_each_part() -> None:
    trial = run_speed_trial(0.03, "cpu")
    rates = [value for name, value in trial.items() if name.endswith("per_second")]
    assert len(rates) == 3
    assert all(np.isfinite(rate) and rate > 0 for rate in rates)


def test_a_rate_counts_complete_runs_only(monkeypatch) -> None:
    clock = iter([0.0, 0.4, 0.8, 1.2])
    monkeypatch.setattr("fer_lmdb.inspection.speed_trial.time.perf_counter", lambda: next(clock))
    assert _rate(lambda: None, 10, 1.0, torch.device("cpu")) == pytest.approx(3 * 10 / 1.2)


def test_doctor_prints_a_table_or_json() -> None:
    printed = CliRunner().invoke(cli, ["doctor", "--seconds", "0", "--device", "cpu"])
    assert printed.exit_code == 0, printed.output
    for word in ("processor", "instruction sets", "packages", "extras", "defaults"):
        assert word in printed.stdout
    document = json.loads(CliRunner().invoke(cli, ["doctor", "--seconds", "0.03", "--json"]).stdout)
    assert set(document["trial"]) >= {"train_faces_per_second", "detect_images_per_second"}


def test_an_unavailable_device_is_an_error() -> None:
    with pytest.raises(DeviceError, match='device "cuda:99" cannot be used'):
        describe_machine("cuda:99")
