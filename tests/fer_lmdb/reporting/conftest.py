"""Fixtures: a data set of synthetic faces built with a detector, and copies of a run to modify."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from fer_lmdb.data.build import BuildOptions, build
from fer_lmdb.data.sources.fer2013 import Fer2013Csv
from fer_lmdb.data.sources.synthetic import write_synthetic_csv
from fer_lmdb.faces.preprocessing import Preprocessing
from fer_lmdb.models.run_folder import FIRST_BATCH, RunFolder
from fer_lmdb.training.result import TrainResult


@pytest.fixture(scope="session")
def trained(trained, tmp_path_factory) -> TrainResult:
    """The shared training run with a first batch, without the evaluations recorded by other tests."""
    run = RunFolder(tmp_path_factory.mktemp("report") / trained.run.name)
    shutil.copytree(trained.run.path, run.path, ignore=shutil.ignore_patterns("evaluations.jsonl"))
    faces = np.random.default_rng(0).normal(size=(30, 1, 42, 42)).astype(np.float32)
    save_file({"faces": faces, "labels": np.arange(30) % 7}, run.path / FIRST_BATCH)
    return replace(trained, run=run)


@pytest.fixture(scope="session")
def drawn_csv(tmp_path_factory) -> Path:
    """56 synthetic faces in FER2013's layout."""
    path = tmp_path_factory.mktemp("drawn") / "drawn.csv"
    write_synthetic_csv(path, 42, 7, 7, seed=5)
    return path


@pytest.fixture(scope="session")
def drawn_data(drawn_csv) -> Path:
    """Data set of the synthetic faces, aligned by MTCNN, in another folder than its csv."""
    folder = drawn_csv.parent / "sets" / "drawn"
    build(Fer2013Csv(drawn_csv), folder, options=BuildOptions(Preprocessing()))
    return folder


@pytest.fixture
def copied(trained, tmp_path) -> Callable[..., RunFolder]:
    """Function that copies the run; keyword arguments replace options in its run.json."""

    def copy(**options: Any) -> RunFolder:
        folder = RunFolder(tmp_path / "copy")
        shutil.copytree(trained.run.path, folder.path)
        config = folder.read_config()
        config["options"] |= options
        folder.config.write_text(json.dumps(config))
        return folder

    return copy
