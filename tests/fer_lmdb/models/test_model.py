from __future__ import annotations

import json
import os
import shutil
import stat
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from fer_lmdb.data.dataset import DataSet
from fer_lmdb.errors import ModelError
from fer_lmdb.models.classifier import Classifier
from fer_lmdb.models.metadata import ModelMetadata
from fer_lmdb.models.registry import load_model, resolve_model
from fer_lmdb.training import train


@pytest.fixture
def model(trained):
    return load_model(trained.run.path)


@pytest.fixture
def faces(stripes_data):
    return DataSet.open(stripes_data).read("val")


def test_a_model_file_round_trips(model, tmp_path):
    model.save(tmp_path / "m.safetensors")
    back = load_model(tmp_path / "m.safetensors")
    assert back.weights.keys() == model.weights.keys()
    assert all(torch.equal(back.weights[key], model.weights[key]) for key in model.weights)
    assert np.array_equal(back.mean, model.mean)
    for name in ("name", "deploy_prototxt", "transform_prototxt", "scheme", "preprocessing", "metadata"):
        assert getattr(back, name) == getattr(model, name)
    assert [path.name for path in tmp_path.iterdir()] == ["m.safetensors"]


@pytest.mark.skipif(os.name != "posix", reason="requires POSIX file modes")
def test_the_umask_sets_the_mode_of_a_model_file(model, tmp_path):
    before = os.umask(0o022)
    try:
        model.save(tmp_path / "model.safetensors")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "model.safetensors").stat().st_mode) == 0o644
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


def test_half_precision_halves_the_file_and_preserves_probabilities(model, faces, tmp_path):
    model.save(tmp_path / "full.safetensors")
    model.half().save(tmp_path / "half.safetensors")
    half = load_model(tmp_path / "half.safetensors")
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("half", "full")]
    assert sizes[0] < 0.65 * sizes[1]
    one, other = (Classifier(m).probabilities(faces.images) for m in (model, half))
    assert np.abs(one - other).max() < 5e-3


def test_bfloat16_agrees_with_float32(model, faces):
    one, other = (
        Classifier(model, "cpu", kind).probabilities(faces.images) for kind in (torch.float32, torch.bfloat16)
    )
    assert other.dtype == np.float32
    assert 0 < np.abs(one - other).max() < 2e-2
    assert np.allclose(other.sum(axis=1), 1, atol=1e-5)


def test_probabilities_sum_to_one_and_are_independent_of_the_batch(model, faces):
    classifier = Classifier(model)
    at_once = classifier.probabilities(faces.images)
    assert at_once.shape == (40, 7)
    assert np.allclose(at_once.sum(axis=1), 1, atol=1e-5)
    one_by_one = np.concatenate([classifier.probabilities(faces.images[i : i + 1]) for i in range(40)])
    assert np.allclose(at_once, one_by_one, atol=1e-4)
    assert classifier.probabilities(faces.images[:0]).shape == (0, 7)


def test_ten_views_average_crops_and_their_mirror_images(model, faces):
    classifier = Classifier(model)
    images = torch.from_numpy(faces.images[:5])
    mean = torch.from_numpy(model.mean)
    views = []
    for top, left in [(0, 0), (0, 6), (6, 0), (6, 6), (3, 3)]:
        piece = (images.float() - mean)[..., top : top + 42, left : left + 42]
        views += [piece, piece.flip(-1)]
    with torch.no_grad():
        expected = torch.stack([next(iter(classifier.net(data=view).values())) for view in views]).mean(dim=0)
    assert np.allclose(classifier.probabilities(images, tta=10), expected.numpy(), atol=1e-5)
    with pytest.raises(ModelError, match="1, 2, 4, 10"):
        classifier.probabilities(images, tta=3)


def with_augmentation(model, transform):
    return replace(model, metadata=ModelMetadata({"recipe": {"transform": transform}}))


@pytest.mark.parametrize("count", [2, 4])
def test_two_and_four_views_average_zoomed_and_rotated_faces(model, faces, count):
    classifier = Classifier(with_augmentation(model, "rotation: 12 zoom: 0.1"))
    image = faces.images[3, 0].astype(np.float32) - model.mean[0]
    views = []
    for degrees, zoom in [(0, 1.08), (0, 0.93), (8, 1), (-8, 1)][:count]:  # OpenCV rotates counterclockwise
        move = cv2.getRotationMatrix2D((23.5, 23.5), degrees, zoom)
        views.append(cv2.warpAffine(image, move, (48, 48), borderMode=cv2.BORDER_REPLICATE)[3:45, 3:45])
    views[1::2] = [view[:, ::-1] for view in views[1::2]]
    with torch.no_grad():
        (expected,) = classifier.net(data=torch.from_numpy(np.stack(views))[:, None]).values()
    found = classifier.probabilities(faces.images[3:4], tta=count)
    assert np.allclose(found, expected.mean(dim=0).numpy(), atol=2e-3)  # OpenCV rounds coordinates to 1/32


@pytest.mark.parametrize("count", [2, 4])
def test_views_are_not_zoomed_or_rotated_for_a_net_trained_without(model, faces, count):
    classifier = Classifier(with_augmentation(model, "mirror: true"))
    middle = torch.from_numpy(faces.images[:5] - model.mean)[..., 3:45, 3:45].float()
    with torch.no_grad():
        expected = sum(next(iter(classifier.net(data=view).values())) for view in (middle, middle.flip(-1))) / 2
    assert np.allclose(classifier.probabilities(faces.images[:5], tta=count), expected.numpy(), atol=1e-5)


def test_the_model_of_a_run_contains_its_augmentation(options, tmp_path):
    run = train.train(replace(options, epochs=1, rotation=9.0, zoom=0.05), tmp_path / "run").run
    augmentation = load_model(run.path).augmentation
    assert (augmentation.rotation, augmentation.mirror) == (9, True)
    assert augmentation.zoom == pytest.approx(0.05)
    assert not augmentation.mean_file


@pytest.mark.parametrize("transform", ["zoom: 3", "zoom: nan", "rotation: ten", 7])
def test_an_invalid_augmentation_is_an_error(model, transform):
    with pytest.raises(ModelError, match="the recipe's transform is damaged: "):
        Classifier(with_augmentation(model, transform))


@pytest.mark.parametrize("content", [b"", b"garbage", b"\xff" * 200, b"\x80\x04pickle"])
def test_a_file_that_is_not_a_model_is_an_error(tmp_path, content):
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"not a readable \.safetensors"):
        load_model(path)


def test_a_foreign_safetensors_file_is_rejected(tmp_path):
    save_file({"a": torch.zeros(1)}, tmp_path / "m.safetensors")
    with pytest.raises(ModelError, match="no format mark"):
        load_model(tmp_path / "m.safetensors")


def test_weights_that_do_not_match_the_net_are_rejected(model):
    weights = dict(model.weights)
    moved = weights.pop("fc3/0")
    with pytest.raises(ModelError, match="fc3/0"):
        Classifier(model).load_weights(weights)
    with pytest.raises(ModelError, match=r"fc3/0: found \(128, 7\), expected \(7, 128\)"):
        Classifier(model).load_weights({**weights, "fc3/0": moved.T})


def test_an_unknown_name_lists_the_known_models(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="expected one of face_emotion_net"):
        load_model("nothing")
    with pytest.raises(ModelError, match=r"no best\.safetensors"):
        load_model(tmp_path)


def test_an_absolute_path_is_not_looked_up_in_the_package(trained, model, tmp_path):
    shutil.copytree(trained.run.path, tmp_path / "mine")
    model.save(tmp_path / "mine.safetensors")
    assert resolve_model(tmp_path / "mine") == tmp_path / "mine" / "best.safetensors"


def test_a_bare_name_is_a_run_in_runs(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(trained.run.path, tmp_path / "runs" / "mine")
    assert resolve_model("mine") == Path("runs/mine/best.safetensors")
    (tmp_path / "mine").mkdir()
    assert resolve_model("mine") == Path("runs/mine/best.safetensors")


def test_metadata_round_trip_with_unknown_entries_and_old_keys(model, tmp_path):
    metadata = ModelMetadata(
        {"note": {"a": [1]}, "epoch": {"iteration": 7}, "evaluations": [{"label_scheme": "merged"}]}
    )
    replace(model, metadata=metadata).save(tmp_path / "m.safetensors")
    assert load_model(tmp_path / "m.safetensors").metadata == metadata
    old = {"note": {"a": [1]}, "epoch": {"iteration": 7}, "figures": [{"counted_as": "merged"}]}
    assert ModelMetadata.from_dict(old) == metadata
    assert metadata.iteration == 7


def test_a_model_file_of_version_0_1_0_contains_its_metadata_as_facts(model, tmp_path):
    tensors = {key: tensor.contiguous() for key, tensor in model.weights.items()}
    texts = {
        "format": "fer-lmdb model 1", "name": "x", "net": model.deploy_prototxt, "transform": "", "scheme": "fer2013",
        "classes": json.dumps(model.scheme.classes), "preprocessing": json.dumps(model.preprocessing.to_dict()),
        "facts": json.dumps({"init": {"learnt_from": {"0": ["train"]}, "fresh": []}}),
    }  # fmt: skip
    save_file(tensors, tmp_path / "old.safetensors", metadata=texts)
    assert load_model(tmp_path / "old.safetensors").metadata.init == {
        "trained_on": {"0": ["train"]},
        "reinitialized": [],
    }
