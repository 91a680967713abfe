"""Image folders: splits, classes and invalid files."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_lmdb.data.sources import InvalidSample, Sample
from fer_lmdb.data.sources.image_folder import ImageFolder
from fer_lmdb.errors import SourceError
from fer_lmdb.labels import FER2013, FERPLUS, LABEL_ORDERS


def image(path: Path, gray: int = 100, size: tuple[int, int] = (9, 6)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, gray).save(path, format="PNG")


def samples(source: ImageFolder) -> list[Sample]:
    items = list(source)
    assert all(isinstance(item, Sample) for item in items), items
    return items


def test_splits_and_classes_by_folder(tmp_path: Path) -> None:
    for split in ("Training", "valid", "TEST"):
        for name in ("6_neutral", "Happy", "anger"):
            image(tmp_path / split / name / "1.png")
    found = samples(ImageFolder(tmp_path))
    assert [(sample.name, sample.split, sample.label) for sample in found] == [
        ("/train/6_neutral/1.png", "train", 6),
        ("/train/Happy/1.png", "train", 3),
        ("/train/anger/1.png", "train", 0),
        ("/val/6_neutral/1.png", "val", 6),
        ("/val/Happy/1.png", "val", 3),
        ("/val/anger/1.png", "val", 0),
        ("/test/6_neutral/1.png", "test", 6),
        ("/test/Happy/1.png", "test", 3),
        ("/test/anger/1.png", "test", 0),
    ]
    assert found[0].image.shape == (6, 9, 3)
    assert np.unique(found[0].image) == [100]


def raf_db(root: Path) -> Path:
    """Write RAF-DB's folders 1-7, each with an image whose gray is the number."""
    for split in ("train", "test"):
        for number in range(1, 8):
            image(root / split / str(number) / "1.png", number)
    return root


def test_numbered_folders_need_an_order(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"found 1, 2, 3, 4, 5, 6, 7, expected names; set --label-order to rafdb"):
        ImageFolder(raf_db(tmp_path))


def check_raf_db(source: ImageFolder) -> None:
    names = {int(sample.image[0, 0, 0]): FER2013.classes[sample.label] for sample in samples(source)}
    assert names == dict(enumerate(["surprise", "fear", "disgust", "happy", "sad", "angry", "neutral"], start=1))
    assert source.label_order is not None


def test_numbered_folders_with_an_order(tmp_path: Path) -> None:
    check_raf_db(ImageFolder(raf_db(tmp_path), label_order=LABEL_ORDERS["rafdb"]))


def test_numbered_folders_with_a_file_of_the_data_set(tmp_path: Path) -> None:
    (raf_db(tmp_path) / "classes.txt").write_text("1 Surprise\n2 Fear\n3 Disgust\n4 Happy\n5 Sad\n6 Anger\n7 Neutral\n")
    check_raf_db(ImageFolder(tmp_path))


def test_numbers_of_classes_that_the_scheme_lacks(tmp_path: Path) -> None:
    for number in ("1", "7"):
        image(tmp_path / "train" / number / "1.png")
    first, second = ImageFolder(tmp_path, label_order=LABEL_ORDERS["affectnet"])
    assert isinstance(first, Sample)
    assert isinstance(second, InvalidSample)
    assert second.reason.startswith('the folder "7" (contempt) is not a class of fer2013; expected one of: angry,')


def test_numbers_and_names_of_folders_have_to_agree(tmp_path: Path) -> None:
    for name in ("3_sad", "4_happy"):
        image(tmp_path / name / "1.png")
    with pytest.raises(SourceError, match="numbers and names of the classes disagree: found 3 sad, 4 happy, expected"):
        ImageFolder(tmp_path)


@pytest.mark.parametrize("name", ["val", "valid", "validation", "Validation", "PublicTest"])
def test_names_of_the_validation_folder(tmp_path: Path, name: str) -> None:
    image(tmp_path / "train" / "sad" / "1.png")
    image(tmp_path / name / "sad" / "2.png")
    assert [sample.split for sample in samples(ImageFolder(tmp_path))] == ["train", "val"]


def test_missing_splits(tmp_path: Path) -> None:
    image(tmp_path / "happy" / "1.png")
    assert ImageFolder(tmp_path).unsplit == ""
    assert [(sample.name, sample.split) for sample in samples(ImageFolder(tmp_path))] == [("//happy/1.png", "")]
    image(tmp_path / "train" / "happy" / "1.png")
    image(tmp_path / "test" / "happy" / "1.png")
    assert ImageFolder(tmp_path).unsplit == "train"
    image(tmp_path / "val" / "happy" / "1.png")
    assert ImageFolder(tmp_path).unsplit is None


def test_nested_folders_and_ignored_files(tmp_path: Path) -> None:
    image(tmp_path / "train" / "happy" / "person 1" / "a b.png")
    image(tmp_path / "val" / "happy" / "1.png")
    (tmp_path / "train" / "happy" / ".DS_Store").write_bytes(b"x")
    (tmp_path / "train" / "happy" / "Thumbs.db").write_bytes(b"x")
    (tmp_path / "train" / ".hidden").mkdir()
    assert [sample.name for sample in samples(ImageFolder(tmp_path))] == [
        "/train/happy/person 1/a b.png",
        "/val/happy/1.png",
    ]


@pytest.mark.parametrize("name", [".ipynb_checkpoints", ".AppleDouble", "@eaDir", "__MACOSX", "person/.thumbs"])
def test_images_in_hidden_folders_do_not_count(tmp_path: Path, name: str) -> None:
    image(tmp_path / "train" / "happy" / "1.png")
    image(tmp_path / "train" / "happy" / "._1.png")
    image(tmp_path / "train" / "happy" / name / "1.png")
    image(tmp_path / "val" / "happy" / "1.png")
    assert [sample.name for sample in samples(ImageFolder(tmp_path))] == ["/train/happy/1.png", "/val/happy/1.png"]


def test_ferplus_folders(tmp_path: Path) -> None:
    image(tmp_path / "contempt" / "1.png")
    (sample,) = samples(ImageFolder(tmp_path, FERPLUS))
    assert FERPLUS.classes[sample.label] == "contempt"


def test_invalid_files_are_reported(tmp_path: Path) -> None:
    image(tmp_path / "train" / "happy" / "good.png")
    image(tmp_path / "train" / "bored" / "1.png")
    content = (tmp_path / "train" / "happy" / "good.png").read_bytes()
    broken = tmp_path / "train" / "sad"
    broken.mkdir()
    (broken / "1 empty.png").write_bytes(b"")
    (broken / "2 truncated.png").write_bytes(content[:40])
    (broken / "3 text.jpg").write_text("not an image")
    (broken / "4 dangling.png").symlink_to(broken / "nowhere")
    image(broken / "5\nline.png")
    os.mkfifo(broken / "6 pipe.png")
    image(tmp_path / "val" / "sad" / "1.png")
    invalid = [item for item in ImageFolder(tmp_path) if isinstance(item, InvalidSample)]
    reasons = {Path(sample.location).name: sample.reason for sample in invalid}
    assert 'the folder "bored" is not a class' in reasons["1.png"]
    assert reasons["1 empty.png"].startswith("is empty")
    assert set(reasons) == {
        "1.png",
        "1 empty.png",
        "2 truncated.png",
        "3 text.jpg",
        "4 dangling.png",
        "5\\nline.png",
        "6 pipe.png",
    }
    assert all(sample.split == "train" and "\n" not in sample.location + sample.reason for sample in invalid)


def test_file_names_that_are_not_utf8(tmp_path: Path) -> None:
    image(tmp_path / "train" / "happy" / os.fsdecode(b"caf\xe9.png"))
    image(tmp_path / "val" / "happy" / "1.png")
    first = samples(ImageFolder(tmp_path))[0]
    assert os.fsencode(first.name) == b"/train/happy/caf\xe9.png"
    assert first.location.endswith("caf\\xe9.png")


def test_digest_depends_on_names_and_bytes(tmp_path: Path) -> None:
    def digest(folder: str, name: str, gray: int) -> str:
        image(tmp_path / folder / "train" / "happy" / name, gray)
        image(tmp_path / folder / "val" / "happy" / "1.png", 1)
        source = ImageFolder(tmp_path / folder)
        samples(source)
        return source.sha256()

    digests = [digest("a", "1.png", 5), digest("b", "1.png", 5), digest("c", "2.png", 5), digest("d", "1.png", 6)]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def test_folder_without_classes(tmp_path: Path) -> None:
    image(tmp_path / "holiday" / "1.png")
    with pytest.raises(SourceError, match=r"has no images in folders named after classes.*angry, disgust"):
        ImageFolder(tmp_path)


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="nowhere: No such file"):
        ImageFolder(tmp_path / "nowhere")
