"""Kill builds at random times and verify that the old or the new data set is intact, never a mixture.

    python benchmarks/torture_build.py --kills 1000

Every build replaces the data set of the previous one. It is killed with SIGKILL at a time drawn uniformly from up to
1.2 times the duration of a build. Then all digests of the data set are computed again.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path

from fer_lmdb.data.build import BuildOptions, build
from fer_lmdb.data.manifest import MEAN_NAME, database, read_manifest, verify_sha256
from fer_lmdb.data.sources.open import open_source
from fer_lmdb.data.sources.synthetic import write_synthetic_csv
from fer_lmdb.faces.preprocessing import Preprocessing
from prototxt_like.io.datum_store import digest

PLAIN = Preprocessing(detector="none")


def build_seed(csv: Path, target: Path, seed: int) -> None:
    """Build a data set that its seed identifies."""
    build(open_source(csv), target, options=BuildOptions(PLAIN, seed=seed), force=True)


def build_in_child(csv: Path, target: Path, seed: int) -> int:
    """Start a build in a child process and return its process ID."""
    process = os.fork()
    if process == 0:
        try:
            build_seed(csv, target, seed)
        finally:
            os._exit(0)
    return process


def verified_seed(target: Path) -> int:
    """Verify all files of the data set and return its seed."""
    manifest = read_manifest(target)
    verify_sha256(target / MEAN_NAME, manifest["mean"]["sha256"])
    for split, facts in manifest["splits"].items():
        verify_sha256(database(target, split) / "data.mdb", facts["file_sha256"])
        if digest(database(target, split)) != facts["sha256"]:
            raise SystemExit(f"{split} of {target} is a mixture")
    return int(manifest["seed"])


def torture(folder: Path, kills: int, seed: int, faces: int) -> dict[str, object]:
    """Kill builds and count the outcomes."""
    csv, target = folder / "drawn.csv", folder / "data"
    write_synthetic_csv(csv, train=faces, val=faces // 8, test=faces // 8)
    started = time.perf_counter()
    build_seed(csv, target, 0)
    build_seed(csv, target, 0)
    seconds = (time.perf_counter() - started) / 2
    moments, before, outcomes = random.Random(seed), 0, Counter[str]()
    for number in range(1, kills + 1):
        process = build_in_child(csv, target, number)
        time.sleep(moments.uniform(0, 1.2 * seconds))
        os.kill(process, signal.SIGKILL)
        _, status = os.waitpid(process, 0)
        after = verified_seed(target)
        if after not in (before, number):
            raise SystemExit(f"after kill {number}: found the data set of build {after}, expected {before} or {number}")
        outcome = "new" if after == number else "old"
        outcomes[f"{outcome}, {'killed' if os.WIFSIGNALED(status) else 'ended before'}"] += 1
        before = after
    build_seed(csv, target, kills + 1)
    left = sorted(path.name for path in folder.iterdir())
    if left != ["data", "drawn.csv"]:
        raise SystemExit(f"the last build left {left}")
    return {"kills": kills, "seconds_of_a_build": round(seconds, 3), "outcomes": dict(outcomes)}


def main() -> None:
    """Read the options, run, print JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--faces", type=int, default=1200, help="faces of the training split")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(torture(Path(folder), arguments.kills, arguments.seed, arguments.faces), indent=2))


if __name__ == "__main__":
    main()
