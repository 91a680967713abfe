"""Joined data sets contain all faces of their sources, shuffled."""

from __future__ import annotations

import json
import shutil
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from fer_lmdb.cli import main
from fer_lmdb.data import ferplus
from fer_lmdb.data.build import BuildOptions, build
from fer_lmdb.data.build.join import join
from fer_lmdb.data.dataset import DataSet
from fer_lmdb.data.manifest import read_manifest, write_manifest
from fer_lmdb.errors import DataSetError, FerLmdbError
from fer_lmdb.inspection.inspect import inspect
from fer_lmdb.labels import FERPLUS

sys.path.insert(0, str(Path(__file__).parent))
from noise import UNALIGNED, Noise

PLAIN = BuildOptions(UNALIGNED)


class FerPlusNoise(Noise):
    classes = FERPLUS.classes


def built(folder: Path, options: BuildOptions = PLAIN, source: type[Noise] = Noise, **counts: int) -> Path:
    build(source(seed=options.seed, counts=counts), folder, options=options)
    return folder


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> Path:
    return built(tmp_path_factory.mktemp("large") / "data", train=101, val=12, test=5)


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    return built(tmp_path_factory.mktemp("small") / "data", replace(PLAIN, seed=3, shards=4), train=40, val=6)


def faces_of(folder: Path, split: str) -> Counter[tuple[bytes, int]]:
    found = DataSet.open(folder).read(split)
    return Counter((image.tobytes(), int(label)) for image, label in zip(found.images, found.labels, strict=True))


def test_each_face_keeps_its_label_and_name(large: Path, small: Path, tmp_path: Path) -> None:
    document = join([large, small], tmp_path / "both").manifest
    for split in ("train", "val"):
        assert faces_of(tmp_path / "both", split) == faces_of(large, split) + faces_of(small, split)
    assert faces_of(tmp_path / "both", "test") == faces_of(large, "test")
    assert {split: counts["count"] for split, counts in document["splits"].items()} == {
        "train": 141,
        "val": 18,
        "test": 5,
    }
    assert sum(document["splits"]["train"]["per_class"].values()) == 141
    keys = DataSet.open(tmp_path / "both").read("train").keys
    names = [key.split("_", 1)[1] for key in DataSet.open(large).read("train").keys]
    assert [key.split("_", 1)[0] for key in keys] == [f"{number:08d}" for number in range(141)]
    assert set(names) <= {key.split("_", 1)[1] for key in keys}


def test_the_joined_data_set_is_valid_and_has_the_mean_of_all(large: Path, small: Path, tmp_path: Path) -> None:
    join([large, small], tmp_path / "both")
    assert inspect(tmp_path / "both", verify=True)["problems"] == []
    data = DataSet.open(tmp_path / "both")
    np.testing.assert_allclose(data.mean()[0], data.read("train").images[:, 0].mean(axis=0), atol=1e-3)
    assert [each["counts"]["train"] for each in data.manifest["source"]["joined"]] == [101, 40]
    assert {data.manifest["opencv"], *(each["opencv"] for each in data.manifest["source"]["joined"])} == {
        cv2.__version__
    }


@pytest.mark.parametrize(
    ("older", "joined"),
    [("3.4.1", f"3.4.1, {cv2.__version__}"), (f"3.4.1, {cv2.__version__}", f"3.4.1, {cv2.__version__}"), (None, None)],
)
def test_the_manifest_lists_all_opencv_versions(
    large: Path, small: Path, tmp_path: Path, older: str | None, joined: str | None
) -> None:
    shutil.copytree(small, tmp_path / "older")
    path = tmp_path / "older" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"opencv": older}))
    assert join([large, tmp_path / "older"], tmp_path / "both").manifest["opencv"] == joined


def test_the_order_depends_on_the_seed(large: Path, small: Path, tmp_path: Path) -> None:
    digests = [
        join([large, small], tmp_path / str(number), seed=seed).manifest["splits"]["train"]["sha256"]
        for number, seed in enumerate((0, 0, 1))
    ]
    assert digests[0] == digests[1] != digests[2]
    first = {image.tobytes() for image in DataSet.open(small).read("train").images}
    positions = [image.tobytes() in first for image in DataSet.open(tmp_path / "0").read("train").images]
    assert 5 < sum(positions[:70]) < 35  # 20 of 40 are expected in the first half


def test_train_only_uses_training_faces_of_the_other_data_sets(large: Path, small: Path, tmp_path: Path) -> None:
    join([large, small], tmp_path / "both", train_only=True)
    assert faces_of(tmp_path / "both", "val") == faces_of(large, "val")
    assert DataSet.open(tmp_path / "both").count("train") == 141


def test_votes_stay_with_their_faces(voted_data: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(voted_data, tmp_path / "copy")
    join([voted_data, copy], tmp_path / "both")
    data = DataSet.open(tmp_path / "both")
    votes = ferplus.read(data, "val")
    np.testing.assert_array_equal(votes.argmax(axis=1), data.read("val").labels)
    assert len(votes) == 2 * DataSet.open(voted_data).count("val")
    assert inspect(tmp_path / "both", verify=True)["problems"] == []


def test_incompatible_data_sets_are_rejected_and_nothing_is_written(
    large: Path, voted_data: Path, tmp_path: Path
) -> None:
    other_size = built(tmp_path / "size", BuildOptions(replace(UNALIGNED, size=32)), train=9)
    unvoted = built(tmp_path / "unvoted", replace(PLAIN, label_scheme=FERPLUS), FerPlusNoise, train=9)
    for folders, words in [
        ([large], "found 1 data set to join, expected two or more"),
        ([large, large.parent / "." / large.name], "is given twice"),
        ([large, other_size], "faces of 48 and 32 pixels"),
        ([large, voted_data], "differ: different classes"),
        ([voted_data, unvoted], "does not; join data sets with votes"),
    ]:
        with pytest.raises(DataSetError, match=words):
            join(folders, tmp_path / "target")
        assert not (tmp_path / "target").exists()


def test_a_damaged_data_set_is_rejected(large: Path, tmp_path: Path) -> None:
    broken = built(tmp_path / "broken", train=9)
    document = read_manifest(broken)
    document["splits"]["train"]["count"] = 11
    write_manifest(broken, document)
    with pytest.raises(DataSetError, match="has fewer records than its manifest"):
        join([large, broken], tmp_path / "target")
    with (broken / "train_lmdb" / "data.mdb").open("r+b") as file:
        file.seek(5000)
        file.write(b"x")
    with pytest.raises(FerLmdbError, match="damaged"):
        join([large, broken], tmp_path / "target")


def test_the_command(large: Path, small: Path, tmp_path: Path, capsys) -> None:
    arguments = ["join", str(large), str(small), "--train-only", "--out", str(tmp_path / "both"), "--json"]
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 0
    assert json.loads(capsys.readouterr().out)["splits"]["train"]["count"] == 141
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 1
    assert "--force" in capsys.readouterr().err
