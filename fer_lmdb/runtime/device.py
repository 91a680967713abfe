"""Torch device and dtype from their option values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fer_lmdb.choices import PRECISIONS
from fer_lmdb.errors import DeviceError

if TYPE_CHECKING:
    import torch


def resolve_device(name: str) -> torch.device:
    """Return the torch device of a name.

    Args:
        name: A device of PyTorch, e.g. "cpu" or "cuda:1", or "auto" for a GPU if there is one.

    Raises:
        DeviceError: If the device is unknown or not available.
    """
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise DeviceError(f'device "{name}" cannot be used ({reason}); use auto, cpu or cuda') from error
    return device


def resolve_dtype(name: str, device: torch.device) -> torch.dtype:
    """Return the compute dtype of a precision.

    Args:
        name: One of `PRECISIONS`; "auto" is bfloat16 if the device supports it natively, else float32.
        device: Device of the computation.

    Raises:
        DeviceError: If the name is unknown.
    """
    import torch

    if name not in PRECISIONS:
        raise DeviceError(f'unknown precision "{name}"; use one of {", ".join(PRECISIONS)}')
    if name == "auto":
        return torch.bfloat16 if _has_bfloat16(device) else torch.float32
    return torch.bfloat16 if name == "bfloat16" else torch.float32


def _has_bfloat16(device: torch.device) -> bool:
    import torch

    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu" or not hasattr(torch.cpu, "get_capabilities"):
        return False
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
