"""The Dockerfile copies what is there, and the image would run without rights."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
ADMITTED = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]


def copied() -> list[str]:
    lines = re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
    return [source for line in lines for source in line.split()[:-1]]


def test_what_is_copied_exists_and_is_all_that_docker_gets_to_see():
    assert all((ROOT / source).exists() for source in copied())
    assert sorted(copied()) == sorted(ADMITTED)


def test_what_the_installation_reads_is_copied():
    assert {"setup.py", "pyproject.toml", "README.md", "fer_lmdb", "prototxt_like"} <= set(copied())


def test_the_image_runs_as_a_user_without_rights():
    last_stage = DOCKERFILE.split("\nFROM ")[-1]
    (user,) = re.findall(r"^USER (\S+)$", last_stage, re.MULTILINE)
    assert user not in ("root", "0")
    assert last_stage.index("USER") < last_stage.index("ENTRYPOINT")


def test_the_extras_and_the_python_are_ones_that_the_package_has():
    setup = (ROOT / "setup.py").read_text(encoding="utf-8")
    (extras,) = re.findall(r"'\.\[([^]]+)\]'", DOCKERFILE)
    assert all(f'"{extra}": [' in setup for extra in extras.split(","))
    assert set(re.findall(r"FROM python:(\S+)-slim", DOCKERFILE)) == {"3.11"}
