"""Settings of glibc's malloc for training.

glibc returns large blocks to the kernel as soon as they are freed. A training step frees and allocates hundreds of
them, and the kernel clears each page again: on a virtual machine a third of the training time. With these settings the
process reuses freed blocks.
"""

from __future__ import annotations

import ctypes
import os
import sys

# Parameters of mallopt. Source: glibc's malloc.h
TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD = -1, -2, -3
MAX_MMAP_THRESHOLD = 32 << 20  # the maximum of glibc; larger blocks always come from the kernel


def tune_malloc() -> bool:
    """Make this process reuse freed blocks; call it before PyTorch is imported.

    Results do not change. The process keeps its peak memory until it ends.

    Returns:
        Whether the settings were applied; False if the C library is not glibc, which alone needs them.
    """
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # PyTorch: blocks of 2 MB and more in huge pages
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    # glibc adapts its limits until one is set, so all three are
    settings = ((MMAP_THRESHOLD, MAX_MMAP_THRESHOLD), (TRIM_THRESHOLD, 2**31 - 1), (TOP_PAD, 64 << 20))
    applied = [mallopt(name, value) == 1 for name, value in settings]
    return all(applied)
