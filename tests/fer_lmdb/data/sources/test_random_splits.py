"""Random splits: sizes, seeds, near-duplicates, and sources that have splits."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from fer_lmdb.data.build import build
from fer_lmdb.data.sources import Sample
from fer_lmdb.data.sources.open import open_source
from fer_lmdb.data.sources.random_splits import split_groups
from fer_lmdb.data.sources.synthetic import write_synthetic_csv
from fer_lmdb.data.split_ratio import DEFAULT_RATIO, SplitRatio
from fer_lmdb.errors import OptionError, SourceError
from fer_lmdb.labels import FER2013


def write_noise(path: Path, seed: int) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = cv2.GaussianBlur(np.random.default_rng(seed).integers(0, 256, (48, 48), np.uint8), (0, 0), 2)
    cv2.imwrite(str(path), pixels)
    return pixels


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """40 happy and 20 sad faces in class folders without splits."""
    for number in range(60):
        write_noise(tmp_path / "photos" / ("happy" if number < 40 else "sad") / f"{number:02d}.png", number)
    return tmp_path / "photos"


def splits_of(root: Path, **options: object) -> dict[str, str]:
    """Return the split of each image by class and file name."""
    items = list(open_source(root, **options))
    assert all(isinstance(item, Sample) and item.name.startswith(f"/{item.split}/") for item in items)
    return {item.name.split("/", 2)[2]: item.split for item in items}


def test_each_class_is_split_by_the_ratio(photos: Path) -> None:
    def count(**options: object) -> Counter[tuple[str, str]]:
        return Counter((name.split("/")[0], split) for name, split in splits_of(photos, **options).items())

    assert count() == {
        ("happy", "train"): 32,
        ("happy", "val"): 4,
        ("happy", "test"): 4,
        ("sad", "train"): 16,
        ("sad", "val"): 2,
        ("sad", "test"): 2,
    }
    assert count(split_ratio=SplitRatio.parse("75/25")) == {
        ("happy", "train"): 30,
        ("happy", "val"): 10,
        ("sad", "train"): 15,
        ("sad", "val"): 5,
    }


def test_the_splits_depend_on_the_seed(photos: Path) -> None:
    assert splits_of(photos, seed=5) == splits_of(photos, seed=5) != splits_of(photos, seed=6)


def test_near_duplicates_stay_in_one_split(photos: Path) -> None:
    for number in range(20):
        pixels = cv2.imread(str(photos / "happy" / f"{number:02d}.png"), cv2.IMREAD_GRAYSCALE)
        bright = np.clip(np.roll(pixels, 1, axis=1) * 1.1 + 8, 0, 255).astype(np.uint8)
        cv2.imwrite(str(photos / "happy" / f"{number:02d} bright.png"), bright[:, ::-1] if number % 2 else bright)
    for seed in range(3):
        split_of = splits_of(photos, seed=seed)
        assert all(split_of[f"happy/{n:02d}.png"] == split_of[f"happy/{n:02d} bright.png"] for n in range(20))
        assert Counter(split_of.values())["test"] == Counter(split_of.values())["val"] == 8
    source = open_source(photos)
    list(source)
    assert source.summary == {"ratio": "80/10/10", "seed": 0, "near_duplicates": 40}


def test_small_classes_have_a_face_in_each_split(tmp_path: Path) -> None:
    for number in range(4):
        write_noise(tmp_path / "happy" / f"{number}.png", number)
    assert Counter(splits_of(tmp_path).values()) == {"train": 2, "val": 1, "test": 1}


def test_a_missing_validation_split_is_held_out_from_training(tmp_path: Path) -> None:
    for number in range(27):
        folder = tmp_path / ("train" if number < 20 else "test") / "happy"
        write_noise(folder / f"{number:02d}.png", number)
    items = list(open_source(tmp_path))
    assert Counter(item.split for item in items) == {"train": 18, "val": 2, "test": 7}
    assert all(item.split == "test" for item in items[20:])


def without_usage(path: Path) -> Path:
    with path.open(newline="") as file:
        rows = [row[:2] for row in csv.reader(file)]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def test_csv_without_usage(tmp_path: Path) -> None:
    write_synthetic_csv(tmp_path / "faces.csv", train=70, val=0, test=0)
    path = without_usage(tmp_path / "faces.csv")
    document = build(path, tmp_path / "data", detector="none", split_ratio="60/20/20").manifest
    counts = {split: entry["count"] for split, entry in document["splits"].items()}
    assert sum(counts.values()) == 70
    assert counts["train"] >= 42
    assert counts["val"] > 0
    assert counts["test"] > 0
    assert document["source"]["random_splits"]["ratio"] == "60/20/20"


def test_sources_with_splits_take_no_ratio(tmp_path: Path) -> None:
    write_synthetic_csv(tmp_path / "faces.csv", train=7, val=7, test=7)
    with pytest.raises(SourceError, match=r"faces.csv has its own splits; leave out --split-ratio"):
        open_source(tmp_path / "faces.csv", split_ratio=DEFAULT_RATIO)


def test_groups_are_assigned_as_a_whole() -> None:
    groups = np.array([0, 0, 1, 2, 3, 3, 3, 4, 5, 6])
    labels = np.array([0, 1, 0, 0, 0, 0, 0, 1, 1, 1])
    for seed in range(5):
        splits = split_groups(groups, labels, {"test": 0.2, "val": 0.2}, seed)
        assert splits[0] == splits[1]
        assert splits[4] == splits[5] == splits[6] == "train"
        assert Counter(splits)["val"] >= 2


@pytest.mark.parametrize(
    ("text", "ratio"),
    [
        ("80/10/10", SplitRatio(80, 10, 10)),
        ("90/10", SplitRatio(90, 10, 0)),
        ("0.8:0.1:0.1", SplitRatio(0.8, 0.1, 0.1)),
        ("100,0", SplitRatio(100, 0)),
    ],
)
def test_ratios(text: str, ratio: SplitRatio) -> None:
    assert SplitRatio.parse(text) == ratio


@pytest.mark.parametrize(
    "text", ["", "80", "80/30", "0/50/50", "nan/10", "-10/110", "80/10/5/5", "inf/0", "a/b", "1e400/0"]
)
def test_texts_that_are_no_ratios(text: str) -> None:
    with pytest.raises(OptionError, match="invalid split ratio: found"):
        SplitRatio.parse(text)


def test_labels_are_kept(photos: Path) -> None:
    labels = {item.name.split("/")[2]: FER2013.classes[item.label] for item in open_source(photos)}
    assert labels == {"happy": "happy", "sad": "sad"}
