"""The pipeline without what only POSIX systems have, with Windows as the platform of our own modules."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np

from fer_lmdb.data.sources.synthetic import write_synthetic_csv

PROGRAM = """
import builtins, multiprocessing, os, signal, sys

import cv2, google.protobuf, lmdb, matplotlib.pyplot, numpy, PIL.Image, rich.console, safetensors.torch, scipy.sparse
import skimage.transform, torch, torch.utils.data, torch.utils.tensorboard, torchmetrics.classification
import scipy.optimize, scipy.sparse.csgraph, click.testing

class Windows:
    platform = "win32"

    def __getattr__(self, name):
        return getattr(sys, name)

    def __setattr__(self, name, value):
        setattr(sys, name, value)

windows, real_import = Windows(), builtins.__import__

def import_module(name, scope=None, *rest, **named):
    importer = (scope or {}).get("__name__") or ""
    if name == "sys" and importer.split(".")[0] in ("fer_lmdb", "prototxt_like"):
        return windows
    return real_import(name, scope, *rest, **named)

builtins.__import__ = import_module
for name in ("fcntl", "resource", "pwd", "grp", "termios"):
    sys.modules[name] = None
for owner, name in ((signal, "SIGHUP"), (os, "fork"), (os, "O_DIRECTORY"), (os, "sync"), (os, "statvfs")):
    delattr(owner, name)
multiprocessing.set_start_method("spawn")

if __name__ == "__main__":
    from fer_lmdb.cli import main
    from fer_lmdb.runtime import posix

    assert posix.is_windows() and posix.fcntl is None and sys.platform != "win32"
    for arguments in (
        ["build", "faces.csv", "--detector", "none", "--out", "data"],
        ["build", "faces.csv", "--detector", "none", "--out", "data", "--force", "--seed", "1"],
        ["train", "--model", sys.argv[1], "--data", "data", "--run", "runs/one", "--epochs", "1", "--device", "cpu"],
        ["evaluate", "runs/one", "--data", "data", "-v"],
        ["predict", "face.png", "--model", "runs/one", "--detector", "none", "--csv", "found.csv"],
        ["export", "runs/one", "--format", "caffe", "--out", "exported"],
    ):
        try:
            main(arguments)
        except SystemExit as stopped:
            assert not stopped.code, (arguments, stopped.code)
    print("complete")
"""


def test_the_pipeline_without_posix(small_net: Path, tmp_path: Path) -> None:
    write_synthetic_csv(tmp_path / "faces.csv", train=35, val=7, test=7)
    cv2.imwrite(str(tmp_path / "face.png"), np.random.default_rng(0).integers(0, 256, (48, 48), np.uint8))
    (tmp_path / "windows.py").write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, "windows.py", str(small_net)], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout.endswith("complete\n")
    for path in ("data/manifest.json", "runs/one/best.safetensors", "found.csv", "exported"):
        assert (tmp_path / path).exists()
