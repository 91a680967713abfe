"""How the C library hands memory out to a net's blobs.

glibc gives large blocks back to the kernel as soon as they are freed. A training step frees and
asks for hundreds of them, and the kernel clears every page anew: on a virtual machine a third
of a training's time. Kept blocks are used again as they are.
"""

from __future__ import annotations

import ctypes
import os
import sys

# Parameters of mallopt. Source: glibc's malloc.h
TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD = -1, -2, -3
LARGEST_KEPT = 32 << 20  # glibc accepts no more; larger blocks always come from the kernel, in huge pages below


def tune_malloc() -> bool:
    """Let this process keep the blocks it frees; call it before PyTorch is imported.

    Without effect on figures. The process holds its peak of memory until it ends.

    Returns:
        whether the C library took the wish; False where it is not glibc, which needs no such thing.
    """
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # PyTorch: blocks of 2 MB and more in huge pages
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    # glibc grows its limits by itself until one is set, so all three are
    wishes = ((MMAP_THRESHOLD, LARGEST_KEPT), (TRIM_THRESHOLD, 2**31 - 1), (TOP_PAD, 64 << 20))
    taken = [mallopt(name, value) == 1 for name, value in wishes]
    return all(taken)
