"""From a source to a data set: counts, order, digests, options, and every way in which it can fail."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

import prototxt_like as pl
from fer_lmdb.data import manifest as manifests
from fer_lmdb.data.build import BuildOptions, build
from fer_lmdb.data.dataset import DataSet
from fer_lmdb.data.lmdb_store import read_split, read_votes
from fer_lmdb.data.sources import Sample
from fer_lmdb.data.sources.ferplus import FerPlusSource, VoteRow
from fer_lmdb.data.sources.open import open_source
from fer_lmdb.data.sources.synthetic import write_synthetic_csv
from fer_lmdb.errors import DataSetError, FerLmdbError, SourceError
from fer_lmdb.faces.detectors.base import Face
from fer_lmdb.faces.preprocessing import Preprocessing
from fer_lmdb.labels import FERPLUS, MERGED, WITHOUT_DISGUST

sys.path.insert(0, str(Path(__file__).parent))
from noise import AS_THEY_ARE, COUNTS, Noise

PLAIN = BuildOptions(AS_THEY_ARE)
SMALL = {"train": 21, "val": 7, "test": 7}


# ------------------------------------------------------------------ what is built


@pytest.fixture(scope="module")
def noise_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("build") / "data"
    build(Noise(), target, PLAIN)
    return target


def test_every_image_arrives_once_with_its_label(noise_data: Path) -> None:
    images = {sample.name: sample for sample in Noise()}
    for split, count in COUNTS.items():
        faces = read_split(manifests.database(noise_data, split))
        names = [key[9:] for key in faces.keys]
        assert [int(key[:8]) for key in faces.keys] == list(range(count))
        assert sorted(names) == sorted(name for name, sample in images.items() if sample.split == split)
        assert names != sorted(names)
        np.testing.assert_array_equal(faces.labels, [images[name].label for name in names])
        np.testing.assert_array_equal(faces.images[:, 0], [images[name].image for name in names])


def test_mean_is_that_of_the_training_split(noise_data: Path) -> None:
    faces = read_split(noise_data / "train_lmdb").images
    expected = faces.sum(axis=0, dtype=np.int64).astype(np.float32) / np.float32(len(faces))
    np.testing.assert_array_equal(pl.read_mean(noise_data / "mean.binaryproto"), expected)


def test_manifest(noise_data: Path) -> None:
    manifest = manifests.read_manifest(noise_data)
    assert manifest["format"] == manifests.FORMAT
    assert manifest["scheme"] == "fer2013"
    assert manifest["classes"] == ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]
    assert (manifest["size"], manifest["detector"], manifest["align"], manifest["seed"]) == (48, "none", None, 0)
    assert manifest["source"] == {"name": "noise", "sha256": "noise 0", "rows": 1370}
    assert manifest["opencv"] == DataSet.open(noise_data).fingerprint()["opencv"] == cv2.__version__
    assert Preprocessing.from_dict(manifest["preprocessing"]) == AS_THEY_ARE
    validation = manifest["splits"]["val"]
    assert validation["count"] == validation["kept_unaligned"] == 40
    assert validation["detected"] == validation["dropped"] == validation["unreadable"] == 0
    assert validation["per_class"] == dict(zip(manifest["classes"], [6, 6, 6, 5, 5, 6, 6], strict=True))
    assert json.loads((noise_data / "manifest.json").read_text()) == manifest


def test_same_seed_same_data_set_other_seed_other_order(noise_data: Path, tmp_path: Path) -> None:
    again = build(Noise(), tmp_path / "again", PLAIN)
    other = build(Noise(), tmp_path / "other", replace(PLAIN, seed=1))
    first = manifests.read_manifest(noise_data)
    assert again == first
    for split in COUNTS:
        assert other["splits"][split]["sha256"] != first["splits"][split]["sha256"]
        assert other["splits"][split]["per_class"] == first["splits"][split]["per_class"]
    assert (tmp_path / "other" / "mean.binaryproto").read_bytes() == (noise_data / "mean.binaryproto").read_bytes()


def test_png_holds_the_same_images(noise_data: Path, tmp_path: Path) -> None:
    build(Noise(), tmp_path / "png", replace(PLAIN, encode="png"))
    raw, png = read_split(noise_data / "val_lmdb"), read_split(tmp_path / "png" / "val_lmdb")
    assert raw.keys == png.keys
    np.testing.assert_array_equal(raw.images, png.images)


def test_a_split_without_images_has_no_database(tmp_path: Path) -> None:
    document = build(Noise(counts={"train": 5, "val": 0, "test": 2}), tmp_path / "data", PLAIN)
    assert list(document["splits"]) == ["train", "test"]
    assert not (tmp_path / "data" / "val_lmdb").exists()


@pytest.mark.parametrize(
    ("scheme", "labels", "left_out"), [(MERGED, [0, 0, 1, 2, 3, 4, 5], 0), (WITHOUT_DISGUST, [0, 1, 2, 3, 4, 5], 1)]
)
def test_other_label_schemes(tmp_path: Path, scheme, labels: list[int], left_out: int) -> None:
    counts = {"train": 7, "val": 7, "test": 7}
    document = build(Noise(counts=counts), tmp_path / "data", replace(PLAIN, scheme=scheme))
    assert sorted(read_split(tmp_path / "data" / "val_lmdb").labels) == labels
    assert document["classes"] == list(scheme.classes)
    assert document["splits"]["val"]["left_out"] == left_out
    assert sum(document["splits"]["val"]["per_class"].values()) == len(labels)


def test_votes_make_labels_and_travel_in_a_second_database(tmp_path: Path) -> None:
    votes = [
        VoteRow(sample.split, "", tuple(np.eye(10, dtype=int)[row % 10] * 9))
        for row, sample in enumerate(Noise(counts=SMALL))
    ]
    source = FerPlusSource(Noise(counts=SMALL), votes, relabel=True)
    document = build(source, tmp_path / "data", replace(PLAIN, scheme=FERPLUS))
    faces = read_split(tmp_path / "data" / "train_lmdb")
    keys, stored = read_votes(tmp_path / "data" / "train_votes_lmdb")
    assert keys == faces.keys
    np.testing.assert_array_equal(stored.argmax(axis=1), faces.labels)
    assert document["splits"]["train"]["left_out"] == 4  # rows 8, 9, 18, 19: unknown or not a face
    assert document["classes"] == list(FERPLUS.classes)


def test_ferplus_needs_votes(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"--ferplus fer2013new\.csv"):
        build(Noise(counts=SMALL), tmp_path / "data", replace(PLAIN, scheme=FERPLUS))


def test_images_of_any_size_and_color(tmp_path: Path) -> None:
    class Mixed(Noise):
        def __iter__(self) -> Iterator[Sample]:
            for sample in super().__iter__():
                shape = [(48, 48), (100, 60, 3), (17, 31), (30, 48, 3)][sample.row % 4]
                yield replace(sample, image=np.full(shape, 90, np.uint8))

    build(Mixed(counts=SMALL), tmp_path / "data", PLAIN)
    images = read_split(tmp_path / "data" / "train_lmdb").images
    assert images.shape == (21, 1, 48, 48)
    assert np.unique(images).tolist() == [90]


# ------------------------------------------------------------------ detection


class EveryThird:
    """Finds a face in every third picture that it is shown at its own size; nothing in the second look."""

    def __init__(self) -> None:
        self.seen = 0

    def detect(self, images) -> list[list[Face]]:
        found: list[list[Face]] = []
        for image in images:
            if image.shape[0] != 48:
                found.append([])
                continue
            self.seen += 1
            marks = np.array([[16, 18], [32, 18], [24, 26], [18, 34], [30, 34]], np.float32)
            box = np.array([8, 6, 32, 36], np.float32)
            found.append([Face(box, 0.5, marks), Face(box, 0.4, marks)] if self.seen % 3 == 0 else [])
        return found


@pytest.mark.parametrize("on_miss", ["keep", "drop"])
def test_faces_are_aligned_and_misses_kept_or_dropped(tmp_path: Path, monkeypatch, on_miss: str) -> None:
    monkeypatch.setattr(Preprocessing, "load_detector", lambda self, device: EveryThird())
    monkeypatch.setattr(sys.modules["fer_lmdb.data.build.collect"], "MAX_BATCH_IMAGES", 10)
    options = BuildOptions(Preprocessing(), on_miss=on_miss)
    document = build(Noise(counts=SMALL), tmp_path / "data", options)
    facts = document["splits"]["train"]
    kept = 14 if on_miss == "keep" else 0
    assert (facts["count"], facts["detected"], facts["kept_unaligned"]) == (7 + kept, 7, kept)
    assert facts["dropped"] == 14 - kept
    assert (document["detector"], document["align"], document["on_miss"]) == ("mtcnn", "landmarks", on_miss)
    lines = [json.loads(line) for line in (tmp_path / "data" / "detections.jsonl").read_text().splitlines()]
    assert len(lines) == 35
    faces = read_split(tmp_path / "data" / "train_lmdb")
    train = [line for line in lines if line["split"] == "train" and line["key"]]
    assert [line["key"] for line in train] == faces.keys
    images = {sample.name: sample.image for sample in Noise(counts=SMALL)}
    for line, face in zip(train, faces.images[:, 0], strict=True):
        original = images[line["key"][9:]]
        assert (line["state"] == "kept") == np.array_equal(face, original) == (line["box"] is None)
        if line["state"] == "aligned":
            assert (line["box"], line["score"]) == ([8, 6, 32, 36], 0.5)
            assert np.array(line["transform"]).shape == (2, 3)
            assert np.array(line["landmarks"]).shape == (5, 2)
    dropped = [line for line in lines if line["state"] == "dropped"]
    assert all(line["key"] is None and line["name"] in images for line in dropped)
    assert len(dropped) == sum(counts["dropped"] for counts in document["splits"].values())


def test_mtcnn_finds_the_drawn_faces(tmp_path: Path) -> None:
    write_synthetic_csv(tmp_path / "drawn.csv", train=30, val=6, test=6)
    document = build(open_source(tmp_path / "drawn.csv"), tmp_path / "data")
    assert document["detector"] == "mtcnn"
    assert sum(facts["count"] for facts in document["splits"].values()) == 42
    assert sum(facts["detected"] for facts in document["splits"].values()) > 10


# ------------------------------------------------------------------ what cannot be used


def test_a_bad_row_stops_the_build(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"noise:13: is bad \(--skip-bad"):
        build(Noise(bad=(13,), counts=SMALL), tmp_path / "data", PLAIN)
    assert list(tmp_path.iterdir()) == []


def test_bad_rows_are_counted_and_listed(tmp_path: Path) -> None:
    source = Noise(bad=(3, 13, 22), counts=SMALL)
    document = build(source, tmp_path / "data", replace(PLAIN, skip_bad=True))
    assert document["unreadable"] == 3
    assert [facts["unreadable"] for facts in document["splits"].values()] == [2, 1, 0]
    assert document["splits"]["train"]["count"] == 19
    lines = [json.loads(line) for line in (tmp_path / "data" / "unreadable.jsonl").read_text().splitlines()]
    assert lines[0] == {"where": "noise:3", "split": "train", "reason": "is bad"}
    assert [line["where"] for line in lines] == ["noise:3", "noise:13", "noise:22"]


def test_nothing_to_train_on(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="noise has no face to train on"):
        build(Noise(counts={"train": 0, "val": 3, "test": 3}), tmp_path / "data", PLAIN)


def test_an_error_in_the_source_ends_the_build(tmp_path: Path) -> None:
    class Changing(Noise):
        def __iter__(self) -> Iterator[Sample]:
            yield from super().__iter__()
            raise SourceError("noise changed while it was read")

    with pytest.raises(SourceError, match="changed while"):
        build(Changing(counts=SMALL), tmp_path / "data", PLAIN)
    assert list(tmp_path.iterdir()) == []


def test_interruption_leaves_nothing(tmp_path: Path) -> None:
    def interrupt(stage: str, done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(Noise(), tmp_path / "data", PLAIN, progress=interrupt)
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------ where it cannot be written


def test_an_existing_data_set_needs_force(tmp_path: Path) -> None:
    build(Noise(counts=SMALL), tmp_path / "data", PLAIN)
    with pytest.raises(DataSetError, match="data exists; replace it with --force"):
        build(Noise(counts=SMALL), tmp_path / "data", replace(PLAIN, seed=1))
    assert manifests.read_manifest(tmp_path / "data")["seed"] == 0
    build(Noise(counts=SMALL), tmp_path / "data", replace(PLAIN, seed=1), force=True)
    assert manifests.read_manifest(tmp_path / "data")["seed"] == 1


def test_full_disk(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("may not mount a small file system here")
    try:
        build(Noise(1, SMALL), disk / "data", PLAIN)
        for count in (2000, 3000, 4000, 6000):  # fails while the database, then while the spool is written
            with pytest.raises(FerLmdbError, match="no space left on the disk") as failure:
                build(Noise(2, {**SMALL, "train": count}), disk / "data", replace(PLAIN, seed=2), force=True)
            assert "\n" not in str(failure.value)
            assert manifests.read_manifest(disk / "data")["seed"] == 0
            assert [path.name for path in disk.iterdir()] == ["data"]
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_read_only_place(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("may not mount a file system here")
    try:
        with pytest.raises(DataSetError, match=r"cannot write .*data: Read-only file system"):
            build(Noise(counts=SMALL), disk / "data", PLAIN)
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_no_permission(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("the superuser may write everywhere")
    tmp_path.chmod(0o555)
    with pytest.raises(DataSetError, match=r"cannot write .*data: Permission denied"):
        build(Noise(counts=SMALL), tmp_path / "data", PLAIN)


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("mine")
    with pytest.raises(DataSetError, match="was not created by fer-lmdb"):
        build(Noise(counts=SMALL), tmp_path / "data", PLAIN, force=True)
    assert (tmp_path / "data").read_text() == "mine"


def test_a_file_as_parent(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("mine")
    with pytest.raises(DataSetError, match="cannot write"):
        build(Noise(counts=SMALL), tmp_path / "data" / "fer2013", PLAIN)


def test_two_builds_of_one_target(tmp_path: Path) -> None:
    def second(stage: str, done: int, total: int | None) -> None:
        if stage == "read":
            with pytest.raises(DataSetError, match="is being built by another process"):
                build(Noise(counts=SMALL), tmp_path / "data", PLAIN)

    build(Noise(counts=SMALL), tmp_path / "data", PLAIN, progress=second)
    assert manifests.read_manifest(tmp_path / "data")["splits"]["train"]["count"] == 21


def test_damage_between_writing_and_checking_is_noticed(tmp_path: Path) -> None:
    def damage(stage: str, done: int, total: int | None) -> None:
        if stage == "write test":
            path = tmp_path / ".data.building" / "val_lmdb" / "data.mdb"
            image = next(sample.image for sample in Noise(counts=SMALL) if sample.split == "val").tobytes()
            content = path.read_bytes()
            assert image in content
            path.write_bytes(content.replace(image, image[:-1] + bytes([image[-1] ^ 1])))

    with pytest.raises(DataSetError, match="val_lmdb does not read back as it was written"):
        build(Noise(counts=SMALL), tmp_path / "data", PLAIN, progress=damage)
    assert list(tmp_path.iterdir()) == []
