"""Finds the folders of installed packages without importing them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from fer_lmdb.errors import DetectorError


def package_folder(package: str, detector: str, install_hint: str) -> Path:
    """The folder of an installed package that carries files a detector needs.

    Args:
        package: name that one would import.
        detector: name of the detector, for the message.
        install_hint: command that installs the package.

    Raises:
        DetectorError: it is not installed.
    """
    specification = importlib.util.find_spec(package)
    if specification is None or specification.origin is None:
        raise DetectorError(
            f'the detector "{detector}" needs the package "{package}", which is missing; {install_hint}'
        )
    return Path(specification.origin).parent


def extra(name: str) -> str:
    """The command that installs an extra of this package."""
    return f'pip install "fer-lmdb[{name}]"'
