"""Folders of installed packages, located without importing them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from fer_lmdb.errors import DetectorError


def package_folder(package: str, detector: str, install_hint: str) -> Path:
    """Return the folder of an installed package that contains files of a detector.

    Args:
        package: Import name.
        detector: Name of the detector, for the error message.
        install_hint: Command that installs the package.

    Raises:
        DetectorError: If the package is not installed.
    """
    specification = importlib.util.find_spec(package)
    if specification is None or specification.origin is None:
        raise DetectorError(
            f'the detector "{detector}" needs the package "{package}", which is missing; {install_hint}'
        )
    return Path(specification.origin).parent


def extra(name: str) -> str:
    """Return the command that installs an extra of fer-lmdb."""
    return f'pip install "fer-lmdb[{name}]"'
