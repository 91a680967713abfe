"""A build killed at any moment leaves the old or the new data set intact."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fer_lmdb.data.build import BuildOptions, build
from fer_lmdb.data.manifest import MEAN_NAME, database, read_manifest, verify_sha256
from prototxt_like.io.datum_store import digest

sys.path.insert(0, str(Path(__file__).parent))
from noise import UNALIGNED, Noise

MOMENTS = ["read", "write train", "write val", "check", "before sync", "after sync", "after exchange"]
TORTURE = Path(__file__).parents[4] / "benchmarks" / "torture_build.py"
PROGRAM = Path(__file__).parent / "noise.py"


def build_seed(target: Path, seed: int) -> None:
    build(Noise(seed), target, options=BuildOptions(UNALIGNED, seed=seed), force=True)


def verified_seed(target: Path) -> int:
    """Verify all files of a data set and return its seed."""
    manifest = read_manifest(target)
    verify_sha256(target / MEAN_NAME, manifest["mean"]["sha256"])
    for split, entry in manifest["splits"].items():
        assert digest(database(target, split)) == entry["sha256"]
        verify_sha256(database(target, split) / "data.mdb", entry["file_sha256"])
    assert {path.name for path in target.iterdir()} == {
        "train_lmdb", "val_lmdb", "test_lmdb", "mean.binaryproto", "manifest.json", "contact_sheet.png",
    }  # fmt: skip
    return int(manifest["seed"])


def kill_at(target: Path, moment: str) -> None:
    done = subprocess.run([sys.executable, str(PROGRAM), str(target), moment], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_over_an_old_data_set(tmp_path: Path, moment: str) -> None:
    target = tmp_path / "data"
    build_seed(target, 1)
    kill_at(target, moment)
    assert verified_seed(target) == (2 if moment == "after exchange" else 1)
    build_seed(target, 3)
    assert verified_seed(target) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize("moment", ["read", "write train", "after sync"])
def test_killed_in_the_first_build(tmp_path: Path, moment: str) -> None:
    target = tmp_path / "data"
    kill_at(target, moment)
    assert not target.exists()
    build_seed(target, 3)
    assert verified_seed(target) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize(("moment", "seed"), [("between two renames", 1), ("after two renames", 2)])
def test_killed_on_a_file_system_without_exchange(tmp_path: Path, moment: str, seed: int) -> None:
    """The old data set has a hidden name at that moment; the next build restores it."""
    target = tmp_path / "data"
    build_seed(target, 1)
    kill_at(target, moment)
    with pytest.raises(RuntimeError, match="stop"):
        build(Noise(5), target, options=BuildOptions(UNALIGNED), force=True, progress=stop)
    assert verified_seed(target) == seed
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def stop(stage: str, done: int, total: int | None) -> None:
    raise RuntimeError("stop")


def test_killed_at_random_moments() -> None:
    done = subprocess.run(
        [sys.executable, str(TORTURE), "--kills", "20", "--faces", "300"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert sum(json.loads(done.stdout)["outcomes"].values()) == 20
