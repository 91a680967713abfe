"""Build: counts, order, digests, options and failures."""

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
from fer_lmdb.data.build import BuildOptions, build
from fer_lmdb.data.dataset import DataSet
from fer_lmdb.data.manifest import FORMAT, database, read_manifest
from fer_lmdb.data.sources import Sample
from fer_lmdb.data.sources.ferplus import FerPlusSource, VoteRow
from fer_lmdb.data.sources.open import open_source
from fer_lmdb.data.sources.synthetic import write_synthetic_csv
from fer_lmdb.errors import ERRORS, DataSetError, OutputError, SourceError
from fer_lmdb.faces.detectors.base import Face
from fer_lmdb.faces.preprocessing import Preprocessing
from fer_lmdb.io.images import read_image
from fer_lmdb.labels import FERPLUS, MERGED, WITHOUT_DISGUST
from fer_lmdb.visualization.class_sheet import COLUMNS, GAP, TILE, TITLE, ClassSheet
from prototxt_like.io.datum_store import read_split, read_votes

sys.path.insert(0, str(Path(__file__).parent))
from noise import COUNTS, UNALIGNED, Noise

PLAIN = BuildOptions(UNALIGNED)
SMALL = {"train": 21, "val": 7, "test": 7}


@pytest.fixture(scope="module")
def noise_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("build") / "data"
    build(Noise(), target, options=PLAIN)
    return target


def test_each_image_is_stored_once_with_its_label(noise_data: Path) -> None:
    images = {sample.name: sample for sample in Noise()}
    for split, count in COUNTS.items():
        faces = read_split(database(noise_data, split))
        names = [key[9:] for key in faces.keys]
        assert [int(key[:8]) for key in faces.keys] == list(range(count))
        assert sorted(names) == sorted(name for name, sample in images.items() if sample.split == split)
        assert names != sorted(names)
        np.testing.assert_array_equal(faces.labels, [images[name].label for name in names])
        np.testing.assert_array_equal(faces.images[:, 0], [images[name].image for name in names])


def test_mean_of_the_training_split(noise_data: Path) -> None:
    faces = read_split(noise_data / "train_lmdb").images
    expected = faces.sum(axis=0, dtype=np.int64).astype(np.float32) / np.float32(len(faces))
    np.testing.assert_array_equal(pl.read_mean(noise_data / "mean.binaryproto"), expected)


def test_contact_sheet_with_a_row_of_training_faces_per_class(noise_data: Path) -> None:
    sheet = read_image(noise_data / "contact_sheet.png")
    assert sheet.shape == (GAP + 7 * (TITLE + TILE + GAP), GAP + COLUMNS * (TILE + GAP), 3)
    faces = read_split(noise_data / "train_lmdb")
    for label in range(7):
        top = GAP + label * (TITLE + TILE + GAP) + TITLE
        expected = ClassSheet(["one"])
        expected.add(faces.images[faces.labels == label][0, 0], 0)
        np.testing.assert_array_equal(sheet[top : top + TILE, GAP : GAP + TILE], expected.faces[0][0])


def test_manifest(noise_data: Path) -> None:
    manifest = read_manifest(noise_data)
    assert manifest["format"] == FORMAT
    assert manifest["scheme"] == "fer2013"
    assert manifest["classes"] == ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]
    assert (manifest["size"], manifest["detector"], manifest["align"], manifest["seed"]) == (48, "none", None, 0)
    assert manifest["source"] == {"name": "noise", "sha256": "noise 0", "rows": 1370}
    assert manifest["opencv"] == DataSet.open(noise_data).fingerprint()["opencv"] == cv2.__version__
    assert Preprocessing.from_dict(manifest["preprocessing"]) == UNALIGNED
    validation = manifest["splits"]["val"]
    assert validation["count"] == validation["unaligned"] == 40
    assert validation["detected"] == validation["dropped"] == validation["unreadable"] == 0
    assert validation["per_class"] == dict(zip(manifest["classes"], [6, 6, 6, 5, 5, 6, 6], strict=True))
    assert json.loads((noise_data / "manifest.json").read_text()) == manifest


def test_the_order_depends_on_the_seed(noise_data: Path, tmp_path: Path) -> None:
    again = build(Noise(), tmp_path / "again", options=PLAIN).manifest
    other = build(Noise(), tmp_path / "other", options=replace(PLAIN, seed=1)).manifest
    first = read_manifest(noise_data)
    assert again == first
    for split in COUNTS:
        assert other["splits"][split]["sha256"] != first["splits"][split]["sha256"]
        assert other["splits"][split]["per_class"] == first["splits"][split]["per_class"]
    assert (tmp_path / "other" / "mean.binaryproto").read_bytes() == (noise_data / "mean.binaryproto").read_bytes()


def test_png_stores_the_same_images(noise_data: Path, tmp_path: Path) -> None:
    build(Noise(), tmp_path / "png", options=replace(PLAIN, encoding="png"))
    raw, png = read_split(noise_data / "val_lmdb"), read_split(tmp_path / "png" / "val_lmdb")
    assert raw.keys == png.keys
    np.testing.assert_array_equal(raw.images, png.images)


def test_a_split_without_images_has_no_database(tmp_path: Path) -> None:
    document = build(Noise(counts={"train": 5, "val": 0, "test": 2}), tmp_path / "data", options=PLAIN).manifest
    assert list(document["splits"]) == ["train", "test"]
    assert not (tmp_path / "data" / "val_lmdb").exists()


@pytest.mark.parametrize(
    ("scheme", "labels", "unlabeled"), [(MERGED, [0, 0, 1, 2, 3, 4, 5], 0), (WITHOUT_DISGUST, [0, 1, 2, 3, 4, 5], 1)]
)
def test_other_label_schemes(tmp_path: Path, scheme, labels: list[int], unlabeled: int) -> None:
    counts = {"train": 7, "val": 7, "test": 7}
    document = build(Noise(counts=counts), tmp_path / "data", options=replace(PLAIN, label_scheme=scheme)).manifest
    assert sorted(read_split(tmp_path / "data" / "val_lmdb").labels) == labels
    assert document["classes"] == list(scheme.classes)
    assert document["splits"]["val"]["unlabeled"] == unlabeled
    assert sum(document["splits"]["val"]["per_class"].values()) == len(labels)


def test_votes_set_the_labels_and_are_stored_in_a_second_database(tmp_path: Path) -> None:
    votes = [
        VoteRow(sample.split, "", tuple(np.eye(10, dtype=int)[row % 10] * 9))
        for row, sample in enumerate(Noise(counts=SMALL))
    ]
    source = FerPlusSource(Noise(counts=SMALL), votes, relabel=True)
    document = build(source, tmp_path / "data", options=replace(PLAIN, label_scheme=FERPLUS)).manifest
    faces = read_split(tmp_path / "data" / "train_lmdb")
    keys, stored = read_votes(tmp_path / "data" / "train_votes_lmdb")
    assert keys == faces.keys
    np.testing.assert_array_equal(stored.argmax(axis=1), faces.labels)
    assert document["splits"]["train"]["unlabeled"] == 4  # rows 8, 9, 18, 19: unknown or not a face
    assert document["classes"] == list(FERPLUS.classes)


def test_ferplus_needs_votes(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"--ferplus fer2013new\.csv"):
        build(Noise(counts=SMALL), tmp_path / "data", options=replace(PLAIN, label_scheme=FERPLUS))


def test_images_of_any_size_and_color(tmp_path: Path) -> None:
    class Mixed(Noise):
        def __iter__(self) -> Iterator[Sample]:
            for sample in super().__iter__():
                shape = [(48, 48), (100, 60, 3), (17, 31), (30, 48, 3)][sample.row % 4]
                yield replace(sample, image=np.full(shape, 90, np.uint8))

    build(Mixed(counts=SMALL), tmp_path / "data", options=PLAIN)
    images = read_split(tmp_path / "data" / "train_lmdb").images
    assert images.shape == (21, 1, 48, 48)
    assert np.unique(images).tolist() == [90]


class EveryThird:
    """Detects a face in every third 48 x 48 image, none in padded images."""

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


@pytest.mark.parametrize("on_no_face", ["keep", "drop"])
def test_images_without_a_face_are_kept_or_dropped(tmp_path: Path, monkeypatch, on_no_face: str) -> None:
    monkeypatch.setattr(Preprocessing, "load_detector", lambda self, device: EveryThird())
    monkeypatch.setattr(sys.modules["fer_lmdb.data.build.collect"], "MAX_BATCH_IMAGES", 10)
    options = BuildOptions(Preprocessing(), on_no_face=on_no_face)
    document = build(Noise(counts=SMALL), tmp_path / "data", options=options).manifest
    counts = document["splits"]["train"]
    unaligned = 14 if on_no_face == "keep" else 0
    assert (counts["count"], counts["detected"], counts["unaligned"]) == (7 + unaligned, 7, unaligned)
    assert counts["dropped"] == 14 - unaligned
    assert (document["detector"], document["align"], document["on_no_face"]) == ("mtcnn", "landmarks", on_no_face)
    lines = [json.loads(line) for line in (tmp_path / "data" / "detections.jsonl").read_text().splitlines()]
    assert len(lines) == 35
    faces = read_split(tmp_path / "data" / "train_lmdb")
    train = [line for line in lines if line["split"] == "train" and line["key"]]
    assert [line["key"] for line in train] == faces.keys
    images = {sample.name: sample.image for sample in Noise(counts=SMALL)}
    for line, face in zip(train, faces.images[:, 0], strict=True):
        original = images[line["key"][9:]]
        assert (line["state"] == "unaligned") == np.array_equal(face, original) == (line["box"] is None)
        if line["state"] == "aligned":
            assert (line["box"], line["score"]) == ([8, 6, 32, 36], 0.5)
            assert np.array(line["transform"]).shape == (2, 3)
            assert np.array(line["landmarks"]).shape == (5, 2)
    dropped = [line for line in lines if line["state"] == "dropped"]
    assert all(line["key"] is None and line["name"] in images for line in dropped)
    assert len(dropped) == sum(counts["dropped"] for counts in document["splits"].values())


def test_mtcnn_detects_synthetic_faces(tmp_path: Path) -> None:
    write_synthetic_csv(tmp_path / "drawn.csv", train=30, val=6, test=6)
    document = build(open_source(tmp_path / "drawn.csv"), tmp_path / "data").manifest
    assert document["detector"] == "mtcnn"
    assert sum(counts["count"] for counts in document["splits"].values()) == 42
    assert sum(counts["detected"] for counts in document["splits"].values()) > 10


def test_an_invalid_row_stops_the_build(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"noise:13: is bad \(use --skip-invalid"):
        build(Noise(bad=(13,), counts=SMALL), tmp_path / "data", options=PLAIN)
    assert list(tmp_path.iterdir()) == []


def test_invalid_rows_are_counted_and_listed(tmp_path: Path) -> None:
    source = Noise(bad=(3, 13, 22), counts=SMALL)
    document = build(source, tmp_path / "data", options=replace(PLAIN, skip_invalid=True)).manifest
    assert document["unreadable"] == 3
    assert [counts["unreadable"] for counts in document["splits"].values()] == [2, 1, 0]
    assert document["splits"]["train"]["count"] == 19
    lines = [json.loads(line) for line in (tmp_path / "data" / "unreadable.jsonl").read_text().splitlines()]
    assert lines[0] == {"where": "noise:3", "split": "train", "reason": "is bad"}
    assert [line["where"] for line in lines] == ["noise:3", "noise:13", "noise:22"]


def test_a_source_without_training_faces_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="noise has no face to train on"):
        build(Noise(counts={"train": 0, "val": 3, "test": 3}), tmp_path / "data", options=PLAIN)


def test_an_error_in_the_source_stops_the_build(tmp_path: Path) -> None:
    class Changing(Noise):
        def __iter__(self) -> Iterator[Sample]:
            yield from super().__iter__()
            raise SourceError("noise changed while it was read")

    with pytest.raises(SourceError, match="changed while"):
        build(Changing(counts=SMALL), tmp_path / "data", options=PLAIN)
    assert list(tmp_path.iterdir()) == []


def test_interruption_leaves_nothing(tmp_path: Path) -> None:
    def interrupt(stage: str, done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(Noise(), tmp_path / "data", options=PLAIN, progress=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_data_set_needs_force(tmp_path: Path) -> None:
    build(Noise(counts=SMALL), tmp_path / "data", options=PLAIN)
    with pytest.raises(OutputError, match="data exists; replace it with --force"):
        build(Noise(counts=SMALL), tmp_path / "data", options=replace(PLAIN, seed=1))
    assert read_manifest(tmp_path / "data")["seed"] == 0
    build(Noise(counts=SMALL), tmp_path / "data", options=replace(PLAIN, seed=1), force=True)
    assert read_manifest(tmp_path / "data")["seed"] == 1


def test_full_disk(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("cannot mount a small file system here")
    try:
        build(Noise(1, SMALL), disk / "data", options=PLAIN)
        for count in (2000, 3000, 4000, 6000):  # fails while writing the database, then the spool
            with pytest.raises(ERRORS, match="no space left on the disk") as failure:
                build(Noise(2, {**SMALL, "train": count}), disk / "data", options=replace(PLAIN, seed=2), force=True)
            assert "\n" not in str(failure.value)
            assert read_manifest(disk / "data")["seed"] == 0
            assert [path.name for path in disk.iterdir()] == ["data"]
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_read_only_file_system(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("cannot mount a file system here")
    try:
        with pytest.raises(DataSetError, match=r"cannot write .*data: Read-only file system"):
            build(Noise(counts=SMALL), disk / "data", options=PLAIN)
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_no_permission(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root can write everywhere")
    tmp_path.chmod(0o555)
    with pytest.raises(DataSetError, match=r"cannot write .*data: Permission denied"):
        build(Noise(counts=SMALL), tmp_path / "data", options=PLAIN)


def test_an_existing_file_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("mine")
    with pytest.raises(OutputError, match="was not created by fer-lmdb"):
        build(Noise(counts=SMALL), tmp_path / "data", options=PLAIN, force=True)
    assert (tmp_path / "data").read_text() == "mine"


def test_a_file_as_parent_folder(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("mine")
    with pytest.raises(DataSetError, match="cannot write"):
        build(Noise(counts=SMALL), tmp_path / "data" / "fer2013", options=PLAIN)


def test_concurrent_builds_of_one_folder(tmp_path: Path) -> None:
    def second(stage: str, done: int, total: int | None) -> None:
        if stage == "read":
            with pytest.raises(OutputError, match="is being built by another process"):
                build(Noise(counts=SMALL), tmp_path / "data", options=PLAIN)

    build(Noise(counts=SMALL), tmp_path / "data", options=PLAIN, progress=second)
    assert read_manifest(tmp_path / "data")["splits"]["train"]["count"] == 21


def test_damage_after_writing_is_detected(tmp_path: Path) -> None:
    def damage(stage: str, done: int, total: int | None) -> None:
        if stage == "write test":
            path = tmp_path / ".data.fer-lmdb-building" / "val_lmdb" / "data.mdb"
            image = next(sample.image for sample in Noise(counts=SMALL) if sample.split == "val").tobytes()
            content = path.read_bytes()
            assert image in content
            path.write_bytes(content.replace(image, image[:-1] + bytes([image[-1] ^ 1])))

    with pytest.raises(DataSetError, match="val_lmdb differs from what was written"):
        build(Noise(counts=SMALL), tmp_path / "data", options=PLAIN, progress=damage)
    assert list(tmp_path.iterdir()) == []
