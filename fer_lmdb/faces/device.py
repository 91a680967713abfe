"""Where a detector computes."""

from __future__ import annotations

import torch

from fer_lmdb.errors import DetectorError


def as_device(name: str) -> torch.device:
    """The PyTorch device of that name.

    Raises:
        DetectorError: there is no such device in this machine.
    """
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise DetectorError(f'the device "{name}" cannot be used here: {reason}; "cpu" always can') from None
    return device
