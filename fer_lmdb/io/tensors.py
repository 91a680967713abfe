"""Writing of .safetensors files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from fer_lmdb.io.atomic import atomic_file

SYSTEM_ERROR = re.compile(r"([^:]+) \(os error (\d+)\)")
"""Error of the operating system, such as a full disk, in a message of safetensors."""


def save_tensors(path: Path, tensors: Mapping[str, Tensor], texts: Mapping[str, str] | None = None) -> None:
    """Write a .safetensors file atomically; if that fails, an older file is unchanged.

    Args:
        path: Target; its folder must exist.
        tensors: Tensors by key, of any device and memory layout.
        texts: Metadata.

    Raises:
        OSError: If the file cannot be written, e.g. because the disk is full.
    """
    stored = {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
    with atomic_file(path) as partial:
        try:
            save_file(stored, partial, metadata=None if texts is None else dict(texts))
        except SafetensorError as error:
            found = SYSTEM_ERROR.search(str(error))
            if found is None:
                raise
            number = int(found[2])  # errno; Windows counts its own and takes the fourth argument
            raise OSError(number, found[1].strip(), str(path), number) from None
