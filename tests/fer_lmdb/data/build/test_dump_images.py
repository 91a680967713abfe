"""Image files and lists of a data set."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from fer_lmdb.data.build import BuildOptions, build, write_images
from fer_lmdb.data.build.dump_images import draw_face, png_name
from fer_lmdb.data.sources.image_folder import ImageFolder
from fer_lmdb.data.sources.synthetic import SyntheticFaces
from fer_lmdb.errors import OutputError
from fer_lmdb.faces.detectors.base import Face
from fer_lmdb.faces.preprocessing import Preprocessing
from prototxt_like.io.datum_store import LmdbWriter, digest, read_split

sys.path.insert(0, str(Path(__file__).parent))
from noise import UNALIGNED, Noise

SMALL = {"train": 21, "val": 7, "test": 7}
PLAIN = BuildOptions(UNALIGNED)


def all_files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_lists_and_aligned_images_give_the_same_database(tmp_path: Path) -> None:
    """Converting the lists like convert_imageset gives the same keys and Datums."""
    build(Noise(counts=SMALL), tmp_path / "data", options=PLAIN, images=tmp_path / "images")
    for split in SMALL:
        with LmdbWriter(tmp_path / "again" / split) as writer:
            for line in (tmp_path / "images" / f"{split}_list.txt").read_text().splitlines():
                name, label = line.rsplit(" ", 1)
                image = cv2.imread(f"{tmp_path}/images/aligned{name}", cv2.IMREAD_GRAYSCALE)
                writer.append(name, image, int(label))
        assert digest(tmp_path / "again" / split) == digest(tmp_path / "data" / f"{split}_lmdb")


def test_images_only(tmp_path: Path) -> None:
    document = write_images(Noise(counts=SMALL), tmp_path / "images", options=PLAIN)
    names = {sample.name for sample in Noise(counts=SMALL)}
    lists = {"train_list.txt", "val_list.txt", "test_list.txt", "classes.txt"}
    expected = {f"{kind}{name}" for kind in ("original", "aligned") for name in names} | lists
    assert all_files(tmp_path / "images") == expected
    assert document["splits"]["train"]["count"] == 21
    assert [path.name for path in tmp_path.iterdir()] == ["images"]


def test_numbered_folders_are_built_again_with_the_same_labels(tmp_path: Path) -> None:
    """The folders hold a classes.txt, and are replaced with --force in spite of it."""
    faces = SyntheticFaces(train=14, val=7, test=7)
    for _ in range(2):
        write_images(faces, tmp_path / "images", options=PLAIN, force=True)
    assert (tmp_path / "images" / "classes.txt").read_text().splitlines() == list(faces.classes)
    again = ImageFolder(tmp_path / "images" / "original")
    assert again.label_order.names == dict(enumerate(faces.classes))
    assert [sample.label for sample in again] == [sample.row // 2 for sample in faces if sample.split == "train"] + [
        *range(7),
        *range(7),
    ]


def test_source_images_keep_size_and_color(tmp_path: Path) -> None:
    color = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)

    class Photographs(Noise):
        def __iter__(self):
            for sample in super().__iter__():
                yield replace(sample, image=color, name=sample.name.replace(".png", ".jpg"))

    write_images(Photographs(counts=SMALL), tmp_path / "images", options=PLAIN)
    original, aligned = (
        tmp_path / "images" / kind / "train" / "3" / "00003.jpg.png" for kind in ("original", "aligned")
    )
    np.testing.assert_array_equal(cv2.imread(str(original))[:, :, ::-1], color)
    assert cv2.imread(str(aligned), cv2.IMREAD_UNCHANGED).shape == (48, 48)


def test_boxes_are_drawn_around_detected_faces(tmp_path: Path, monkeypatch) -> None:
    class FixedBox:
        def detect(self, images):
            return [
                [Face(np.array([4, 5, 30, 36], np.float32), 0.9, None)] if image.shape[0] == 48 else []
                for image in images
            ]

    monkeypatch.setattr(Preprocessing, "load_detector", lambda self, device: FixedBox())
    write_images(Noise(counts=SMALL), tmp_path / "images", options=BuildOptions(Preprocessing()))
    boxed = cv2.imread(str(tmp_path / "images" / "boxed" / "val" / "0" / "00021.png"))
    assert boxed.shape == (192, 192, 3)
    assert len(np.unique(boxed.reshape(-1, 3), axis=0)) > 2
    assert not (boxed[..., 0] == boxed[..., 2]).all()  # the box is colored


def test_an_image_without_a_face_is_enlarged() -> None:
    image = np.random.default_rng(0).integers(0, 256, (48, 60), dtype=np.uint8)
    drawn = draw_face(image, None)
    np.testing.assert_array_equal(drawn[::4, ::4, 0], image)


def test_names_of_png_files() -> None:
    assert png_name("/train/3/1.png") == "/train/3/1.png"
    assert png_name("/train/happy/a.JPG") == "/train/happy/a.JPG.png"


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    class Odd(Noise):
        def __iter__(self):
            for sample in super().__iter__():
                yield replace(sample, name=os.fsdecode(b"/%s/x/caf\xe9 %d.png" % (sample.split.encode(), sample.row)))

    build(Odd(counts=SMALL), tmp_path / "data", options=PLAIN, images=tmp_path / "images")
    lines = (tmp_path / "images" / "val_list.txt").read_bytes().splitlines()
    assert all(Path(f"{tmp_path}/images/aligned{os.fsdecode(line[:-2])}").is_file() for line in lines)
    assert len(read_split(tmp_path / "data" / "val_lmdb").keys) == 7


@pytest.mark.parametrize("images", ["data/images", "data", "."])
def test_images_inside_the_data_set_are_rejected(tmp_path: Path, images: str) -> None:
    with pytest.raises(OutputError, match="are inside each other"):
        build(Noise(counts=SMALL), tmp_path / "data", options=PLAIN, images=tmp_path / images)
    assert list(tmp_path.iterdir()) == []


def test_other_folders_are_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "holiday.jpg").write_text("mine")
    with pytest.raises(OutputError, match="was not created by fer-lmdb"):
        build(Noise(counts=SMALL), tmp_path / "data", options=PLAIN, images=tmp_path / "images", force=True)
    assert all_files(tmp_path) == {"images/holiday.jpg"}


def test_both_folders_appear_or_neither(tmp_path: Path) -> None:
    def stop(stage: str, done: int, total: int | None) -> None:
        if stage == "check":
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        build(Noise(counts=SMALL), tmp_path / "data", options=PLAIN, images=tmp_path / "images", progress=stop)
    assert list(tmp_path.iterdir()) == []
