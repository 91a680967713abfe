"""Folders that change during a build, and folders of 100,000 files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from fer_lmdb.data.build import BuildOptions, build
from fer_lmdb.data.sources.image_folder import ImageFolder
from fer_lmdb.errors import SourceError
from fer_lmdb.faces.preprocessing import Preprocessing

PLAIN = BuildOptions(Preprocessing(detector="none"))


@pytest.fixture
def changed(tmp_path: Path) -> ImageFolder:
    """Folder in which, after listing, one image was truncated, one deleted and one replaced by a folder."""
    for split, count in (("train", 6), ("val", 2)):
        (tmp_path / "photos" / split / "happy").mkdir(parents=True)
        for number in range(count):
            Image.new("L", (48, 48), 20 * number).save(tmp_path / "photos" / split / "happy" / f"{number}.png")
    source = ImageFolder(tmp_path / "photos")
    happy = tmp_path / "photos" / "train" / "happy"
    (happy / "1.png").write_bytes((happy / "1.png").read_bytes()[:50])
    (happy / "2.png").unlink()
    (happy / "3.png").unlink()
    (happy / "3.png").mkdir()
    return source


def test_images_that_change_during_the_build_are_reported(changed: ImageFolder, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"1\.png: is .*--skip-invalid"):
        build(changed, tmp_path / "data", options=PLAIN)
    assert not (tmp_path / "data").exists()
    document = build(changed, tmp_path / "data", options=replace(PLAIN, skip_invalid=True)).manifest
    assert (document["splits"]["train"]["count"], document["splits"]["train"]["unreadable"]) == (3, 3)
    lines = [json.loads(line) for line in (tmp_path / "data" / "unreadable.jsonl").read_text().splitlines()]
    assert [Path(line["where"]).name for line in lines] == ["1.png", "2.png", "3.png"]


# Decoding is replaced: this measures the cost of 100,000 names in listing, spooling and writing.
HUNDRED_THOUSAND = """
import resource, sys
import numpy as np
from pathlib import Path
from fer_lmdb.data.build import build
from fer_lmdb.data.sources import image_folder

image = np.full((8, 8), 90, np.uint8)
image_folder.decode_image = lambda data, where: image
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
source = image_folder.ImageFolder(Path(sys.argv[1]))
data = build(source, sys.argv[2], detector="none", size=8)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(sum(map(data.count, ("train", "val", "test"))), (after - before) >> 10)
"""


def test_memory_for_100000_files_is_bounded(tmp_path: Path) -> None:
    folder = tmp_path / "photos" / "happy"
    folder.mkdir(parents=True)
    for number in range(100_000):
        os.close(os.open(f"{folder}/{number}.png", os.O_CREAT | os.O_WRONLY))
    command = [sys.executable, "-c", HUNDRED_THOUSAND, str(tmp_path / "photos"), str(tmp_path / "data")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    count, megabytes = map(int, done.stdout.split())
    assert count == 100_000
    assert megabytes < 300, f"{megabytes} MB for 100,000 names"
