"""Device and dtype from option values."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from fer_lmdb.errors import DeviceError
from fer_lmdb.runtime import device as device_module
from fer_lmdb.runtime.device import PRECISIONS, bfloat16_slowdown, resolve_device, resolve_dtype

CPU = torch.device("cpu")


def test_auto_selects_a_gpu_if_there_is_one() -> None:
    assert resolve_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert resolve_device("cpu") == CPU


def test_unavailable_devices() -> None:
    with pytest.raises(DeviceError, match=r'device "cuda:99" cannot be used \(.+\); use auto, cpu or cuda'):
        resolve_device("cuda:99")


@pytest.mark.parametrize("name", ["abacus", "", "meta", "cuda:x", "CPU"])
def test_names_that_no_device_has(name: str) -> None:
    with pytest.raises(DeviceError, match=f"invalid device: found '{name}', expected auto, cpu, cuda"):
        resolve_device(name)


@pytest.mark.parametrize(("capabilities", "expected"), [({"amx_bf16": True}, torch.bfloat16), ({}, torch.float32)])
def test_auto_precision_follows_the_processor(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool], expected: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert resolve_dtype("auto", CPU) == expected
    assert resolve_dtype("float32", CPU) == torch.float32
    assert resolve_dtype("bfloat16", CPU) == torch.bfloat16


def test_slow_bfloat16_is_said_once_with_its_measured_ratio(monkeypatch, caplog) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict, raising=False)
    monkeypatch.setattr(device_module, "bfloat16_slowdown", lambda device_type: 17.84)
    device_module._warn_of_slow_bfloat16.cache_clear()
    for _ in range(2):
        assert resolve_dtype("bfloat16", CPU) == torch.bfloat16
    assert [record.message.partition(":")[0] for record in caplog.records] == ["this cpu has no bfloat16 instructions"]
    assert "took 17.8 times as long as in float32" in caplog.text
    device_module._warn_of_slow_bfloat16.cache_clear()


def test_the_trial_measures_both_dtypes() -> None:
    assert bfloat16_slowdown("cpu") > 0


def test_unknown_precision() -> None:
    with pytest.raises(DeviceError, match=f'unknown precision "float8"; use one of {", ".join(PRECISIONS)}'):
        resolve_dtype("float8", CPU)


def test_the_names_need_no_torch() -> None:
    program = "import sys, fer_lmdb.runtime.device; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
