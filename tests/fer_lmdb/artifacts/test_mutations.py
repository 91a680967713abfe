"""Stored artifacts with any value changed, removed or added are read, or rejected in one line that names the file."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

import prototxt_like as pl
from fer_lmdb.artifacts.base import parse, parse_texts
from fer_lmdb.artifacts.manifest import Manifest
from fer_lmdb.artifacts.onnx_texts import ENCODED, OnnxTexts
from fer_lmdb.artifacts.unreadable import Unreadable
from fer_lmdb.data.dataset import DataSet
from fer_lmdb.data.detections import read_detections
from fer_lmdb.errors import FerLmdbError, ModelError, SourceError
from fer_lmdb.faces.preprocessing import Preprocessing
from fer_lmdb.labels import FER2013
from fer_lmdb.models.evaluation_log import read_evaluations
from fer_lmdb.models.registry import load_model
from fer_lmdb.models.run_folder import RunFolder
from fer_lmdb.training.recipe import load_recipe
from fer_lmdb.training.snapshot import Snapshot

DIGEST = "0" * 64
SOURCE = {"name": "a.csv", "sha256": DIGEST, "rows": 9}
PREPROCESSING = Preprocessing().to_dict()
DATA = {"source": SOURCE, "counts": {"train": 3}, "sha256": {"train": DIGEST}, "seed": 0, "opencv": "4"}
EPOCH = {"epoch": 1, "iteration": 5, "lr": 0.1, "train_loss": 2.0, "val_loss": 1.0, "val_accuracy": 0.5}
INIT = {"source": "m", "loaded": ["conv1"], "reinitialized": [], "trained_on": {DIGEST: ["train"]}}
EVALUATION = {
    "models": ["runs/a"], "iterations": [5], "split": "val", "tta": 1, "precision": "float32", "n": 9, "accuracy": 0.5,
    "classes": list(FER2013.classes), "ci95": [0.1, 0.9],
    "per_class": {"happy": {"n": 3, "f1": 0.5}}, "confusion": [[1]],
}  # fmt: skip
METADATA = {
    "init": INIT, "data": DATA, "epoch": EPOCH, "selected": "best", "evaluations": [EVALUATION],
    "recipe": {"options": {"train_splits": "train"}, "transform": "mirror: true", "epoch_size": 9},
}  # fmt: skip
TEXTS = {
    "format": "fer-lmdb model 1", "name": "a", "net": "", "transform": "", "scheme": "fer2013",
    "classes": list(FER2013.classes), "preprocessing": PREPROCESSING, "metadata": METADATA,
}  # fmt: skip
COUNTS = {"count": 3, "detected": 2, "unaligned": 1, "per_class": {"happy": 3}, "sha256": DIGEST}
MANIFEST = {
    "format": "fer-lmdb data set 1", "scheme": "fer2013", "classes": list(FER2013.classes), "size": 48, "seed": 0,
    "detector": "mtcnn", "preprocessing": PREPROCESSING, "mean": {"sha256": DIGEST}, "unreadable": 0,
    "splits": {"train": COUNTS | {"file_sha256": DIGEST},
               "val": COUNTS | {"shards": [{"count": 3, "file_sha256": DIGEST}]}},
    "source": {**SOURCE, "joined": [{"source": SOURCE, "preprocessing": PREPROCESSING}]},
}  # fmt: skip
STATE = {
    "iteration": 7, "loss_count": 1, "recent_losses": [0.5], "best": EPOCH, "log": [EPOCH], "initial": INIT,
    "solver": {"iteration": 7, "losses": [0.5], "plain": {"0": {"step": 7}}},
}  # fmt: skip
DETECTION = {
    "split": "train", "key": "00000000_a", "box": [1.0, 2.0, 3.0, 4.0], "score": 0.9, "landmarks": [[1.0, 2.0]] * 5,
    "transform": [[1.0, 0.0, 0.0]] * 2, "state": "aligned",
}  # fmt: skip


def _manifest(folder: Path, values: Any) -> None:
    (folder / "manifest.json").write_text(json.dumps(values))
    data = DataSet.open(folder)
    assert data.scheme.classes and data.preprocessing and data.has_mixed_preprocessing in (True, False)
    data.fingerprint(), data._repr_html_(), [data.count(split) for split in ("train", "val", "test")]


def _detections(folder: Path, values: Any) -> None:
    (folder / "detections.jsonl").write_text(json.dumps(DETECTION) + "\n" + json.dumps(values) + "\n")
    assert len([(each["split"], each["state"], each["key"]) for each in read_detections(folder)]) == 2


def _config(folder: Path, values: Any) -> None:
    run = RunFolder(folder)
    run.config.write_text(json.dumps(values))
    for name in ("train_val", "deploy", "solver"):
        shutil.copy(pl.zoo.path("fer_mini") / f"{name}.prototxt", folder)
    load_recipe(run, run.read_config())


def _log(folder: Path, values: Any) -> None:
    (folder / "log.jsonl").write_text(json.dumps(values))
    assert all(
        record["iteration"] >= 0 and record["lr"] + record["train_loss"] for record in RunFolder(folder).read_log()
    )


def _evaluations(folder: Path, values: Any) -> None:
    run = RunFolder(folder)
    run.write_config({"options": {}, "epoch_size": 9, "data": DATA})
    run.evaluations.write_text(json.dumps(EVALUATION) + "\n" + json.dumps(values))
    read_evaluations(run)


def _snapshot(folder: Path, values: Any) -> None:
    run = RunFolder(folder)
    Snapshot({"a": torch.zeros(1)}, values).write(run)
    Snapshot.read(run)


def _texts(values: Any) -> dict[str, str]:
    table = values if isinstance(values, dict) else {"format": json.dumps(values)}
    plain = ("format", "name", "net", "transform", "scheme")
    return {
        key: str(value).encode("utf-8", "replace").decode() if key in plain else json.dumps(value)
        for key, value in table.items()
    }


def _model(folder: Path, values: Any) -> None:
    save_file({"a/0": torch.zeros(1)}, folder / "m.safetensors", metadata=_texts(values))
    model = load_model(folder / "m.safetensors")
    assert model.metadata.train_splits and model.metadata.iteration != "" and model.metadata.options is not None


def _onnx(folder: Path, values: Any) -> None:
    parse_texts(OnnxTexts, _texts(values), ENCODED, "m.onnx", ModelError, "export the model again")


def _unreadable(folder: Path, values: Any) -> None:
    parse(Unreadable, values, "unreadable.jsonl:1", SourceError, "build the data set again")


ONNX = {key: TEXTS[key] for key in ("name", "scheme", "classes", "preprocessing")}
ARTIFACTS: dict[str, tuple[Callable[[Path, Any], None], Any]] = {
    "manifest.json": (_manifest, MANIFEST),
    "detections.jsonl": (_detections, DETECTION),
    "unreadable.jsonl": (_unreadable, {"where": "a.csv:3", "split": "val", "reason": "3 pixels"}),
    "run.json": (_config, {"options": {"seed": 3, "epochs": 2}, "epoch_size": 9, "data": DATA, "versions": {}}),
    "log.jsonl": (_log, EPOCH),
    "evaluations.jsonl": (_evaluations, EVALUATION),
    "snapshot.safetensors": (_snapshot, STATE),
    "m.safetensors": (_model, TEXTS),
    "m.onnx": (_onnx, {"format": "fer-lmdb onnx 1", "figures": [], "data": DATA, **ONNX}),
}
ODD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just(10**300), st.just("\ud800"),
    st.sampled_from([1e9, -1, 0, "nan", [], {}, [[]], {"a": {}}, ["a", "a"], "../../x", 2**63, 1e308]),
)  # fmt: skip


def _places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield place
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield from _places(each, (*place, key))


def mutated(value: Any, data: st.DataObject) -> Any:
    """Return a copy with one to three values replaced, removed or added."""
    value = copy.deepcopy(value)
    for _ in range(data.draw(st.integers(1, 3))):
        *way, last = data.draw(st.sampled_from([place for place in _places(value) if place] or [("x",)]))
        parent = value
        for key in way:
            parent = parent[key]
        if data.draw(st.booleans()) and last in (parent if isinstance(parent, dict) else range(len(parent))):
            parent[last] = data.draw(ODD)
        elif isinstance(parent, dict):
            parent.pop(last, None)
        else:
            parent.append(data.draw(ODD))
    return value


@pytest.mark.parametrize("name", ARTIFACTS)
def test_valid_artifacts_are_read(name: str, tmp_path: Path) -> None:
    read, valid = ARTIFACTS[name]
    read(tmp_path, valid)


@pytest.mark.parametrize("name", ARTIFACTS)
@given(data=st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_mutated_artifacts_are_read_or_rejected_in_one_line(name: str, tmp_path_factory, data: st.DataObject) -> None:
    read, valid = ARTIFACTS[name]
    values = mutated(valid, data)
    try:
        read(tmp_path_factory.mktemp("mutated"), values)
    except FerLmdbError as error:
        assert "\n" not in str(error) and len(str(error)) < 700
        assert name in str(error) or "--" in str(error) or "device" in str(error)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"classes": ["a", "b", "a"]}, 'classes: found .*, expected unique names, but "a" is repeated'),
        ({"classes": ["a\nb"]}, "classes.0: found 'a.nb', expected"),
        ({"preprocessing": PREPROCESSING | {"margin": 1e9}}, "preprocessing: found .*invalid margin: found 1000000000"),
        ({"metadata": {"epoch": {"iteration": "5"}}}, "metadata.epoch.iteration: found '5', expected an integer"),
        (
            {"metadata": {"evaluations": [{"accuracy": 2}]}},
            "metadata.evaluations.0.accuracy: found 2, expected",
        ),
        ({"metadata": float("nan")}, "metadata: damaged: found NaN, which is no number of JSON"),
        ({"name": ""}, "name: found '', expected at least 1 character"),
    ],
)
def test_messages_about_a_model(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelError, match=rf"m.safetensors: (damaged: )?{said}.*; export the model again$"):
        _model(tmp_path, TEXTS | change)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"classes": []}, "classes: found [], expected at least 1 item"),
        ({"splits": {"val": COUNTS | {"shards": []}}}, "splits.val.shards: found [], expected at least 1 item"),
        ({"classes": ["a"] * 10_001}, f"classes: found {str(['a'] * 99)[:37]}..., expected at most 10000 items"),
        ({"size": {"a": [0] * 999}}, f"size: found {str({'a': [0] * 999})[:37]}..., expected an integer"),
        (
            {"splits": {"train" * 99: COUNTS}},
            f"splits.{('train' * 99)[:37]}....[key]: found '{('train' * 99)[:36]}..., expected 'train', 'val' "
            "or 'test'",
        ),
        (
            {"preprocessing": {"size" * 99: 1}},
            f"preprocessing: found {{'{('size' * 99)[:35]}..., expected the settings of a preprocessing "
            f'(preprocessing has the unknown entry "{("size" * 99)[:40]}"; use the version of fer-lmdb that wrote it)',
        ),
    ],
)
def test_messages_about_a_manifest(change: dict[str, Any], said: str) -> None:
    with pytest.raises(FerLmdbError) as caught:
        parse(Manifest, MANIFEST | change, "manifest.json", FerLmdbError, "build it again")
    assert str(caught.value) == f"manifest.json: damaged: {said}; build it again"


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    odd = "caf\udce9"
    _detections(tmp_path, DETECTION | {"key": odd})
    _manifest(tmp_path, MANIFEST | {"source": SOURCE | {"name": odd}})
    assert DataSet.open(tmp_path).fingerprint()["source"]["name"] == odd
    _config(tmp_path, {"options": {"data": odd}, "epoch_size": 9, "data": DATA})
    _evaluations(tmp_path, EVALUATION | {"models": [odd], "data": odd})
