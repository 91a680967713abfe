"""A data set of drawn faces in which a detector ran, and copies of a run that may be harmed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fer_lmdb.data.build import BuildOptions, build
from fer_lmdb.data.sources.fer2013 import Fer2013Csv
from fer_lmdb.data.sources.synthetic import write_synthetic_csv
from fer_lmdb.faces.preprocessing import Preprocessing
from fer_lmdb.models.run_folder import RunFolder
from fer_lmdb.training.train import TrainResult


@pytest.fixture(scope="session")
def trained(trained, tmp_path_factory) -> TrainResult:
    """The training all tests share, without the figures that other tests have added to its record."""
    run = RunFolder(tmp_path_factory.mktemp("report") / trained.run.name)
    shutil.copytree(trained.run.path, run.path, ignore=shutil.ignore_patterns("evaluations.jsonl"))
    return replace(trained, run=run)


@pytest.fixture(scope="session")
def drawn_csv(tmp_path_factory) -> Path:
    """56 drawn faces in FER2013's layout."""
    path = tmp_path_factory.mktemp("drawn") / "drawn.csv"
    write_synthetic_csv(path, 42, 7, 7, seed=5)
    return path


@pytest.fixture(scope="session")
def drawn_data(drawn_csv) -> Path:
    """A data set of them, aligned by MTCNN, that lies elsewhere than its csv."""
    folder = drawn_csv.parent / "sets" / "drawn"
    build(Fer2013Csv(drawn_csv), folder, options=BuildOptions(Preprocessing()))
    return folder


@pytest.fixture
def copied(trained, tmp_path) -> Callable[..., RunFolder]:
    """Copies the trained run; options given by name replace those in its run.json."""

    def copy(**options: Any) -> RunFolder:
        folder = RunFolder(tmp_path / "copy")
        shutil.copytree(trained.run.path, folder.path)
        config = folder.read_config()
        config["options"] |= options
        folder.config.write_text(json.dumps(config))
        return folder

    return copy
