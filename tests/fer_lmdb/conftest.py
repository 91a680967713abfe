"""Small data sets and a short training run shared by tests."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import prototxt_like as pl
from fer_lmdb.data.build import build
from fer_lmdb.data.sources import Sample
from fer_lmdb.faces.preprocessing import Preprocessing
from fer_lmdb.labels import FER2013, FERPLUS
from fer_lmdb.training.options import TrainOptions

COUNTS = {"train": 150, "val": 40, "test": 30}


class Stripes:
    """Noisy stripes whose direction is the class; a net is trained on them in seconds."""

    name = "stripes"
    classes = FER2013.classes

    def __iter__(self) -> Iterator[Sample]:
        generator = np.random.default_rng(7)
        across, down = np.meshgrid(np.arange(48), np.arange(48))
        row = 0
        for split, count in COUNTS.items():
            for _ in range(count):
                label = row % 7
                angle = label * np.pi / 7
                wave = np.sin((across * np.cos(angle) + down * np.sin(angle)) / 5 + generator.uniform(0, 1))
                image = 128 + 60 * wave + generator.normal(0, 20, (48, 48))
                yield Sample(
                    f"/{split}/{label}/{row:05d}.png",
                    split,
                    label,
                    image.clip(0, 255).astype(np.uint8),
                    f"row {row}",
                    row,
                )
                row += 1

    def size_hint(self) -> int:
        return sum(COUNTS.values())

    def sha256(self) -> str:
        return "0" * 64


@pytest.fixture(scope="session")
def stripes_data(tmp_path_factory) -> Path:
    """Data set of 150 / 40 / 30 striped images."""
    folder = tmp_path_factory.mktemp("data") / "stripes"
    build(Stripes(), folder, detector="none")
    return folder


class Negatives(Stripes):
    """The same images, inverted."""

    def __iter__(self) -> Iterator[Sample]:
        for sample in super().__iter__():
            yield replace(sample, image=255 - sample.image)


@pytest.fixture(scope="session")
def negative_data(tmp_path_factory) -> Path:
    """The stripes inverted and in another order, as a variant with MTCNN preprocessing."""
    folder = tmp_path_factory.mktemp("data") / "negative"
    build(Negatives(), folder, detector="none", seed=5)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["preprocessing"] = Preprocessing(detector="mtcnn").to_dict()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


class VotedStripes(Stripes):
    """The same images with FER+ votes: seven for the class of the stripes and three for the next one."""

    classes = FERPLUS.classes

    def __iter__(self) -> Iterator[Sample]:
        for sample in super().__iter__():
            votes = [0] * 10
            votes[sample.label], votes[(sample.label + 1) % 8] = 7, 3
            yield replace(sample, votes=tuple(votes))


@pytest.fixture(scope="session")
def voted_data(tmp_path_factory) -> Path:
    """Data set with FER+'s classes and votes."""
    folder = tmp_path_factory.mktemp("data") / "voted"
    build(VotedStripes(), folder, detector="none", label_scheme="ferplus")
    return folder


@pytest.fixture(scope="session")
def small_net(tmp_path_factory) -> Path:
    """Folder of a FaceEmotionNet with narrow InnerProduct layers, for fast training and saving."""
    folder = tmp_path_factory.mktemp("nets") / "small_net"
    shutil.copytree(pl.zoo.path("face_emotion_net"), folder)
    for name in ("train_val.prototxt", "deploy.prototxt"):
        text = (folder / name).read_text()
        (folder / name).write_text(text.replace("num_output: 2048", "num_output: 512").replace("1024", "128"))
    return folder


@pytest.fixture(scope="session")
def options(stripes_data, small_net) -> TrainOptions:
    """Options of a run of 3 epochs with 10 iterations each, on the CPU in float32."""
    return TrainOptions(
        model=str(small_net), data=str(stripes_data), epochs=3, batch_size=15, precision="float32", device="cpu"
    )


@pytest.fixture(scope="session")
def trained(options, tmp_path_factory):
    """Result of this run."""
    from fer_lmdb.training.train import train

    return train(replace(options), tmp_path_factory.mktemp("runs") / "stripes")
