"""Which device a net computes on."""

from __future__ import annotations

import torch

from fer_lmdb.errors import DeviceError


def choose_device(name: str) -> torch.device:
    """Return the device of that name; "auto" takes a GPU where there is one.

    Raises:
        DeviceError: PyTorch does not know the device, or this machine does not have it.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise DeviceError(f'device "{name}" cannot be used ({reason}); use auto, cpu or cuda') from error
    return device
