"""Which number format nets compute in."""

from __future__ import annotations

import torch

from fer_lmdb.errors import RunError

PRECISIONS = ("auto", "bfloat16", "float32")


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """Return the number format; "auto" takes bfloat16 only where the processor computes in it.

    Raises:
        RunError: no such precision.
    """
    if name not in PRECISIONS:
        raise RunError(f'precision "{name}" does not exist; there are: {", ".join(PRECISIONS)}')
    if name == "auto":
        return torch.bfloat16 if _has_bfloat16(device) else torch.float32
    return torch.bfloat16 if name == "bfloat16" else torch.float32


def _has_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu" or not hasattr(torch.cpu, "get_capabilities"):
        return False
    able = torch.cpu.get_capabilities()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))
