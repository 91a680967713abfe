"""Fuzz every reader: `python -m tests.fuzz --seconds 600`. Findings are written to --finds; then the exit code is 1."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from . import arena
from .seeds import seeds
from .targets import TARGETS


def main() -> int:
    """Parse the options, fuzz, and print a JSON document."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="for all targets together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--targets", nargs="*", choices=list(TARGETS), default=list(TARGETS))
    parser.add_argument("--finds", type=Path, default=Path("build/finds"))
    arguments = parser.parse_args()
    counts, found = {}, 0
    for target in arguments.targets:
        with tempfile.TemporaryDirectory() as folder:
            files = seeds(target, Path(folder))
        arena.warm_up(target, files)
        outcome = arena.fuzz(target, files, arguments.seed, arguments.seconds / len(arguments.targets))
        for number in outcome.finds:
            arguments.finds.mkdir(parents=True, exist_ok=True)
            file = arguments.finds / f"{target}-{arguments.seed}-{number}"
            file.write_bytes(arena.case(target, files, arguments.seed, number))
        figures = {"cases": outcome.cases, "read": outcome.read, "rejected": outcome.rejected}
        counts[target] = figures | {"finds": dict(arena.kinds(outcome))}
        found += len(outcome.finds)
        sys.stderr.write(f"{target}: {counts[target]}\n")
    sys.stdout.write(json.dumps({"seed": arguments.seed, "targets": counts}, indent=2) + "\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
