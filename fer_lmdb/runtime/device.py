"""Torch device and dtype from their option values."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from fer_lmdb.choices import DEVICE_TYPES, PRECISIONS
from fer_lmdb.errors import DeviceError
from fer_lmdb.ranges import shortened

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)
_DEVICE_NAME = re.compile(rf"({'|'.join(DEVICE_TYPES)})(:[0-9]{{1,3}})?")


def check_device_name(name: object) -> str:
    """Return the name of a device if one can have it, without asking PyTorch.

    Raises:
        DeviceError: If it is not "auto" or one of `DEVICE_TYPES`, with or without a number.
    """
    if name == "auto" or (isinstance(name, str) and _DEVICE_NAME.fullmatch(name)):
        return str(name)
    raise DeviceError(
        f"invalid device: found {shortened(name)}, expected auto, {', '.join(DEVICE_TYPES)} or one with a number "
        "(cuda:1); use auto to let the program choose"
    )


def resolve_device(name: str) -> torch.device:
    """Return the torch device of a name.

    Args:
        name: A device of PyTorch, e.g. "cpu" or "cuda:1", or "auto" for a GPU if there is one.

    Raises:
        DeviceError: If the device is unknown or not available.
    """
    import torch

    check_device_name(name)
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
        return torch.bfloat16 if has_bfloat16(device) else torch.float32
    if name == "bfloat16" and not has_bfloat16(device):
        _warn_of_slow_bfloat16(device.type)
    return torch.bfloat16 if name == "bfloat16" else torch.float32


def has_bfloat16(device: torch.device) -> bool:
    """Return whether the device has instructions for bfloat16."""
    import torch

    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu" or not hasattr(torch.cpu, "get_capabilities"):
        return False
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


@cache  # one warning per process
def _warn_of_slow_bfloat16(device_type: str) -> None:
    ratio = bfloat16_slowdown(device_type)
    log.warning(
        "this %s has no bfloat16 instructions: a convolution took %.1f times as long as in float32 in a short trial; "
        "use --precision auto or float32 unless you need the rounding of bfloat16",
        device_type,
        ratio,
    )


def bfloat16_slowdown(device_type: str) -> float:
    """Measure the time of a convolution in bfloat16 relative to float32; takes a fraction of a second."""
    import torch

    images, layer = torch.rand(16, 32, 24, 24, device=device_type), torch.nn.Conv2d(32, 32, 3).to(device_type)
    times = []
    with torch.inference_mode():
        for dtype in (torch.float32, torch.bfloat16):
            batch, convolution = images.to(dtype), layer.to(dtype)
            convolution(batch)
            times.append(min(_seconds(lambda: convolution(batch).float().sum().item()) for _ in range(3)))  # noqa: B023
    return times[1] / times[0]


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start
