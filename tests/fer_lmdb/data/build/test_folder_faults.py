"""Folders that change under the builder, and folders of a hundred thousand files."""

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
    """A folder of which, after it was listed, one picture was cut off, one went and one became a folder."""
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


def test_images_that_change_while_the_folder_is_read_are_named(changed: ImageFolder, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"1\.png: is .*--skip-bad"):
        build(changed, tmp_path / "data", PLAIN)
    assert not (tmp_path / "data").exists()
    document = build(changed, tmp_path / "data", replace(PLAIN, skip_bad=True))
    assert (document["splits"]["train"]["count"], document["splits"]["train"]["unreadable"]) == (3, 3)
    lines = [json.loads(line) for line in (tmp_path / "data" / "unreadable.jsonl").read_text().splitlines()]
    assert [Path(line["where"]).name for line in lines] == ["1.png", "2.png", "3.png"]


# Decoding stands aside: what is asked is what a hundred thousand names cost, in listing, spooling and writing.
HUNDRED_THOUSAND = """
import resource, sys
import numpy as np
from pathlib import Path
from fer_lmdb.data.build import BuildOptions, build
from fer_lmdb.faces.preprocessing import Preprocessing
from fer_lmdb.data.sources import image_folder as folders

image = np.full((8, 8), 90, np.uint8)
folders.decode_image = lambda data, where: image
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
source = folders.ImageFolder(Path(sys.argv[1]))
document = build(source, Path(sys.argv[2]), BuildOptions(Preprocessing(detector="none", size=8)))
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(sum(facts["count"] for facts in document["splits"].values()), (after - before) >> 10)
"""


def test_a_hundred_thousand_files_become_a_data_set_in_little_memory(tmp_path: Path) -> None:
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
