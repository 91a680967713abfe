"""The golden archives, unpacked with every patch release of Python 3.10 and 3.11."""

from __future__ import annotations

import tarfile
from pathlib import Path


def unpack(archive: Path, folder: Path) -> None:
    """Unpack an archive, by the filter for data where this Python has one: Debian 12's 3.11.2 does not."""
    with tarfile.open(archive) as tar:
        if hasattr(tarfile, "data_filter"):
            tar.extraction_filter = tarfile.data_filter
        tar.extractall(folder)
