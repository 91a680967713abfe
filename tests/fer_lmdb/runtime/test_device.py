"""Device and dtype from option values."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from fer_lmdb.errors import DeviceError
from fer_lmdb.runtime.device import PRECISIONS, resolve_device, resolve_dtype

CPU = torch.device("cpu")


def test_auto_selects_a_gpu_if_there_is_one() -> None:
    assert resolve_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert resolve_device("cpu") == CPU


@pytest.mark.parametrize("name", ["abacus", "cuda:99", ""])
def test_unavailable_devices(name: str) -> None:
    with pytest.raises(DeviceError, match=rf'device "{name}" cannot be used \(.+\); use auto, cpu or cuda'):
        resolve_device(name)


@pytest.mark.parametrize(("capabilities", "expected"), [({"amx_bf16": True}, torch.bfloat16), ({}, torch.float32)])
def test_auto_precision_follows_the_processor(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool], expected: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert resolve_dtype("auto", CPU) == expected
    assert resolve_dtype("float32", CPU) == torch.float32
    assert resolve_dtype("bfloat16", CPU) == torch.bfloat16


def test_unknown_precision() -> None:
    with pytest.raises(DeviceError, match=f'unknown precision "float8"; use one of {", ".join(PRECISIONS)}'):
        resolve_dtype("float8", CPU)


def test_the_names_need_no_torch() -> None:
    program = "import sys, fer_lmdb.runtime.device; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
