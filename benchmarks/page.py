"""Sections of docs/benchmarks.md, one per benchmark.

Standard library only, because some benchmarks run in minimal environments.
"""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("torch", "numpy", "lmdb", "opencv-python", "opencv-python-headless")


def write_section(page: Path, name: str, title: str, text: str) -> None:
    """Write a text between its markers in a Markdown file; append title and markers if they are missing.

    Args:
        page: Markdown file.
        name: Name of the benchmark's file without its suffix.
        title: Heading of a new section.
        text: Markdown.
    """
    start, end = f"<!-- {name}: written by benchmarks/{name}.py -->", f"<!-- end of {name} -->"
    content = page.read_text(encoding="utf-8") if page.exists() else "# Benchmarks\n"
    if start not in content:
        content += f"\n## {title}\n\n{start}\n{end}\n"
    before, rest = content.split(start, 1)
    page.write_text(f"{before}{start}\n\n{text.strip()}\n\n{end}{rest.split(end, 1)[1]}", encoding="utf-8")


def machine(threads: int | None = None) -> str:
    """Describe the machine: processor, cores, load, package versions."""
    parts = [f"{processor()}, {os.cpu_count()} cores"]
    if threads is not None:
        parts.append(f"{threads} thread{'s' * (threads != 1)}")
    parts += [f"load {os.getloadavg()[1]:.1f}", f"Python {platform.python_version()}", *packages()]
    return ", ".join(parts)


def processor() -> str:
    """Return the processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "processor")


def packages() -> list[str]:
    """Return the installed packages that affect results, with their versions."""
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return found
