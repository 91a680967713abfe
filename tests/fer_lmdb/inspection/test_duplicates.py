"""Near-duplicates: identical, shifted, brighter, watermarked and mirrored images."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from fer_lmdb.cli import main
from fer_lmdb.data.build import build
from fer_lmdb.data.near_duplicates import correlation, group_faces
from fer_lmdb.data.sources import Sample
from fer_lmdb.data.sources.synthetic import draw_face
from fer_lmdb.errors import DataSetError
from fer_lmdb.faces.preprocessing import Preprocessing
from fer_lmdb.inspection.duplicates import audit
from fer_lmdb.labels import FER2013, MERGED, WITHOUT_DISGUST
from fer_lmdb.models.evaluation_log import read_evaluations
from fer_lmdb.models.registry import load_model


def photograph(seed: int, side: int = 60) -> np.ndarray:
    """Return an image with coarse and fine structure, like a face."""
    random = np.random.default_rng(seed)
    coarse = cv2.resize(random.integers(0, 256, (6, 6), dtype=np.uint8), (side, side), interpolation=cv2.INTER_CUBIC)
    return cv2.addWeighted(coarse, 0.8, random.integers(0, 256, (side, side), dtype=np.uint8), 0.2, 0)


def crop(image: np.ndarray, down: int = 6, across: int = 6) -> np.ndarray:
    return np.ascontiguousarray(image[down : down + 48, across : across + 48])


def variants() -> dict[str, np.ndarray]:
    image = photograph(1)
    plain = crop(image)
    marked = plain.copy()
    cv2.putText(marked, "stock", (4, 44), cv2.FONT_HERSHEY_SIMPLEX, 0.35, 230)
    return {
        "identical": plain.copy(),
        "shifted": crop(image, 7, 5),
        "brighter": np.clip(plain.astype(int) // 2 + 100, 0, 255).astype(np.uint8),
        "watermarked": marked,
        "mirrored": np.ascontiguousarray(plain[:, ::-1]),
        "compressed": cv2.imdecode(cv2.imencode(".jpg", plain, [cv2.IMWRITE_JPEG_QUALITY, 60])[1], 0),
    }


@pytest.mark.parametrize("name", variants())
def test_a_near_duplicate_is_found(name: str) -> None:
    others = [crop(photograph(seed)) for seed in range(2, 20)]
    images = np.stack([crop(photograph(1)), *others, variants()[name]])
    identical, near = group_faces(images)
    assert near[0] == near[-1]
    assert len(set(near)) == len(images) - 1
    assert (identical[0] == identical[-1]) == (name == "identical")


def test_different_faces_are_not_near_duplicates() -> None:
    faces = np.stack([draw_face(FER2013.classes[seed % 7], np.random.default_rng(seed))[0] for seed in range(60)])
    assert len(set(group_faces(faces)[1].tolist())) > 55


def test_uniform_images_match_only_identical_ones() -> None:
    images = np.stack([np.full((48, 48), tone, np.uint8) for tone in (0, 0, 255, 7)] + [crop(photograph(1))])
    _, near = group_faces(images)
    assert near[0] == near[1]
    assert len(set(near.tolist())) == 4


def test_correlation_of_a_face_with_itself() -> None:
    plain = crop(photograph(1))
    assert correlation(plain, plain) == pytest.approx(1)
    assert correlation(plain, 255 - plain) < 0


class WithNearDuplicates:
    """Train 0-9 are distinct; val 0 is train 0; test 0 is train 1 shifted, test 1 is train 2 with another label."""

    name = "near-duplicates"
    classes = FER2013.classes

    def __iter__(self):
        faces = [("train", crop(photograph(seed)), seed % 7) for seed in range(10)]
        faces += [("val", crop(photograph(0)), 0), ("val", crop(photograph(20)), 0)]
        faces += [("test", crop(photograph(1), 7, 6), 1), ("test", crop(photograph(2)), 5)]
        faces += [("test", crop(photograph(21)), 3)]
        for row, (split, image, label) in enumerate(faces):
            yield Sample(f"/{split}/{label}/{row:05d}.png", split, label, image, f"near-duplicates:{row}", row)

    def size_hint(self) -> int:
        return 15

    def sha256(self) -> str:
        return ""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    build(WithNearDuplicates(), tmp_path / "data", detector="none")
    return tmp_path / "data"


def test_audit(data: Path) -> None:
    document = audit(data)
    assert document["note"] is None
    assert (document["identical"]["groups"], document["identical"]["faces"]) == (2, 4)
    assert (document["near"]["groups"], document["near"]["faces"], document["near"]["largest"]) == (3, 6, 2)
    assert document["near"]["with_near_duplicate_in"] == {
        "train": {"train": 0, "val": 1, "test": 2},
        "val": {"train": 1, "val": 0, "test": 0},
        "test": {"train": 2, "val": 0, "test": 0},
    }
    assert document["same_label"] == {
        "val": {"with_near_duplicate": 1, "same": 1},
        "test": {"with_near_duplicate": 2, "same": 1},
    }
    names = [{key[9:] for key in members} for members in document["groups"]]
    assert {"/train/1/00001.png", "/test/1/00012.png"} in names


def test_a_model_on_faces_with_and_without_a_near_duplicate(stripes_data: Path, trained) -> None:
    document = audit(stripes_data, model=str(trained.run.path))["evaluation"]
    assert document["split"] == "val"
    assert document["all"]["n"] == document["with_near_duplicate"]["n"] + document["without_near_duplicate"]["n"] == 40


def test_audit_prints_the_caveats_of_evaluate(trained, stripes_data, tmp_path, capsys):
    own = load_model(trained.run.path)
    replace(own, preprocessing=Preprocessing(margin=0.25)).save(tmp_path / "m.safetensors")
    with pytest.raises(SystemExit):
        main(["inspect", str(stripes_data), "--duplicates", "--model", str(tmp_path / "m.safetensors")])
    assert "m.safetensors was trained with different preprocessing" in capsys.readouterr().out
    assert not audit(stripes_data, model=str(trained.run.path))["evaluation"].keys() & {"preprocessing_mismatch"}


def test_evaluation_on_test_is_recorded_in_the_run(stripes_data: Path, trained) -> None:
    evaluation = audit(stripes_data, model=str(trained.run.path), split="test")["evaluation"]
    (record,) = [
        figures
        for figures in read_evaluations(trained.run)
        if figures.get("by") == "duplicates audit" and figures["split"] == "test"
    ]
    assert (record["n"], record["accuracy"]) == (evaluation["all"]["n"], evaluation["all"]["accuracy"])
    assert record["n"] == 30


def test_model_on_a_data_set_with_other_images(data: Path, stripes_data: Path, trained) -> None:
    with pytest.raises(DataSetError, match="contain different images"):
        audit(data, model=str(trained.run.path), data=stripes_data)


def test_evaluation_of_a_model_file_is_recorded_in_its_run(stripes_data: Path, trained) -> None:
    def records() -> list[dict]:
        text = trained.run.evaluations.read_text() if trained.run.evaluations.exists() else ""
        return [json.loads(line) for line in text.splitlines()]

    before = records()
    audit(stripes_data, model=str(trained.run.best), split="test")
    (record,) = records()[len(before) :]
    assert (record["models"], record["split"], record["by"]) == ([str(trained.run.best)], "test", "duplicates audit")
    assert record["precision"] == "float32"


def test_label_schemes_with_the_same_names_are_rejected(stripes_data: Path, trained, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(stripes_data, tmp_path / "merged"))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest |= {"scheme": MERGED.name, "classes": list(MERGED.classes)}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    replace(load_model(trained.run.path), scheme=WITHOUT_DISGUST).save(tmp_path / "six.safetensors")
    with pytest.raises(DataSetError, match="same names for different classes"):
        audit(folder, model=str(tmp_path / "six.safetensors"))


def test_folder_without_data_set(tmp_path: Path) -> None:
    with pytest.raises(DataSetError, match="is not a data set"):
        audit(tmp_path)
