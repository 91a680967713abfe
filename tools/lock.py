"""Write requirements.lock: every dependency of CI, pinned, with the hashes of all its files.

    make lock

PyTorch and what only its CUDA build needs are left out. PyPI's wheel of it and the CPU build of PyTorch's own index
are different files under one version, so no hash fits both; constraints.txt pins the version, and pip takes the one
that the machine is set up for.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"
EXTRAS = ("dev", "docs", "hdf5", "heif", "onnx", "ssd", "web")
LEFT_OUT = re.compile(r"(torch|triton|nvidia-[\w-]+|cuda-[\w-]+)==")
HEADER = """# Written by `make lock` from setup.py and constraints.txt; do not edit.
# Why PyTorch is missing: tools/lock.py.
# pip install --require-hashes --no-deps -r requirements.lock
"""


def main() -> None:
    """Resolve for every Python from 3.10 on, and write the file."""
    extras = [word for extra in EXTRAS for word in ("--extra", extra)]
    options = ["--constraint", "constraints.txt", "--generate-hashes", "--universal", "--python-version", "3.10"]
    with tempfile.TemporaryDirectory() as folder:
        resolved = Path(folder) / "resolved"
        quiet = ["--no-header", "--no-annotate", "--quiet", "--no-config", "--output-file", str(resolved)]
        command = [sys.executable, "-m", "uv", "pip", "compile", "setup.py", *extras, *options, *quiet]
        plain = {name: value for name, value in os.environ.items() if not name.startswith("UV_")}
        subprocess.run(command, check=True, cwd=ROOT, env=plain)
        LOCK.write_text(HEADER + "".join(kept(resolved.read_text(encoding="utf-8"))), encoding="utf-8")


def kept(text: str) -> list[str]:
    """Return the requirements, each with its lines of hashes, without those that are left out."""
    blocks = re.split(r"^(?=\S)", text, flags=re.MULTILINE)
    return [block for block in blocks if block and not LEFT_OUT.match(block)]


if __name__ == "__main__":
    main()
