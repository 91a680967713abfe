"""The page docs/benchmarks.md: every benchmark writes its own section and leaves the others alone.

Standard library only: benchmarks also run in environments that hold little else.
"""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("torch", "numpy", "lmdb", "opencv-python", "opencv-python-headless")


def write_section(page: Path, name: str, title: str, text: str) -> None:
    """Put a text between its marks in a Markdown file; append title and marks where they are missing.

    Args:
        page: the file.
        name: the benchmark's file in this folder without its suffix.
        title: heading, used only when the section is new.
        text: Markdown.
    """
    start, end = f"<!-- {name}: written by benchmarks/{name}.py -->", f"<!-- end of {name} -->"
    content = page.read_text(encoding="utf-8") if page.exists() else "# Benchmarks\n"
    if start not in content:
        content += f"\n## {title}\n\n{start}\n{end}\n"
    before, rest = content.split(start, 1)
    page.write_text(f"{before}{start}\n\n{text.strip()}\n\n{end}{rest.split(end, 1)[1]}", encoding="utf-8")


def machine(threads: int | None = None) -> str:
    """Say on what a figure was measured: processor, cores, load by everything that runs, versions."""
    said = [f"{processor()}, {os.cpu_count()} cores"]
    if threads is not None:
        said.append(f"{threads} thread{'s' * (threads != 1)}")
    said += [f"load {os.getloadavg()[1]:.1f}", f"Python {platform.python_version()}", *packages()]
    return ", ".join(said)


def processor() -> str:
    """Return the processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "processor")


def packages() -> list[str]:
    """Return the installed ones of the packages that figures depend on, with their versions."""
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return found
