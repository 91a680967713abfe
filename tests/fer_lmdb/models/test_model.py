from __future__ import annotations

import os
import shutil
import stat
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from fer_lmdb.data.dataset import DataSet
from fer_lmdb.errors import ModelError
from fer_lmdb.models import model as models
from fer_lmdb.models.classifier import Classifier
from fer_lmdb.training import train


@pytest.fixture
def model(trained):
    return models.load_model(trained.run.path)


@pytest.fixture
def faces(stripes_data):
    return DataSet.open(stripes_data).read("val")


def test_a_model_comes_back_as_it_was_saved(model, tmp_path):
    model.save(tmp_path / "m.safetensors")
    back = models.load_model(tmp_path / "m.safetensors")
    assert back.weights.keys() == model.weights.keys()
    assert all(torch.equal(back.weights[key], model.weights[key]) for key in model.weights)
    assert np.array_equal(back.mean, model.mean)
    for name in ("name", "deploy_prototxt", "transform_prototxt", "scheme", "preprocessing", "metadata"):
        assert getattr(back, name) == getattr(model, name)
    assert [path.name for path in tmp_path.iterdir()] == ["m.safetensors"]


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_others_may_read_a_model_as_the_umask_says(model, tmp_path):
    before = os.umask(0o022)
    try:
        model.save(tmp_path / "model.safetensors")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "model.safetensors").stat().st_mode) == 0o644
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


def test_half_precision_halves_the_file_and_hardly_moves_a_probability(model, faces, tmp_path):
    model.save(tmp_path / "whole.safetensors")
    model.half().save(tmp_path / "half.safetensors")
    half = models.load_model(tmp_path / "half.safetensors")
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("half", "whole")]
    assert sizes[0] < 0.65 * sizes[1]
    one, other = (Classifier(m).probabilities(faces.images) for m in (model, half))
    assert np.abs(one - other).max() < 5e-3


def test_bfloat16_computes_otherwise_and_says_the_same(model, faces):
    one, other = (
        Classifier(model, "cpu", kind).probabilities(faces.images) for kind in (torch.float32, torch.bfloat16)
    )
    assert other.dtype == np.float32
    assert 0 < np.abs(one - other).max() < 2e-2
    assert np.allclose(other.sum(axis=1), 1, atol=1e-5)


def test_probabilities_sum_to_one_and_do_not_depend_on_the_batch(model, faces):
    classifier = Classifier(model)
    whole = classifier.probabilities(faces.images)
    assert whole.shape == (40, 7)
    assert np.allclose(whole.sum(axis=1), 1, atol=1e-5)
    one_by_one = np.concatenate([classifier.probabilities(faces.images[i : i + 1]) for i in range(40)])
    assert np.allclose(whole, one_by_one, atol=1e-4)
    assert classifier.probabilities(faces.images[:0]).shape == (0, 7)


def test_ten_views_are_the_mean_of_crops_and_mirrors(model, faces):
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
    return replace(model, metadata={**model.metadata, "recipe": {"transform": transform}})


@pytest.mark.parametrize("count", [2, 4])
def test_few_views_are_the_mean_of_zoomed_and_turned_faces(model, faces, count):
    classifier = Classifier(with_augmentation(model, "rotation: 12 zoom: 0.1"))
    image = faces.images[3, 0].astype(np.float32) - model.mean[0]
    views = []
    for degrees, zoom in [(0, 1.08), (0, 0.93), (8, 1), (-8, 1)][:count]:  # OpenCV turns counter-clockwise
        move = cv2.getRotationMatrix2D((23.5, 23.5), degrees, zoom)
        views.append(cv2.warpAffine(image, move, (48, 48), borderMode=cv2.BORDER_REPLICATE)[3:45, 3:45])
    views[1::2] = [view[:, ::-1] for view in views[1::2]]
    with torch.no_grad():
        (expected,) = classifier.net(data=torch.from_numpy(np.stack(views))[:, None]).values()
    found = classifier.probabilities(faces.images[3:4], tta=count)
    assert np.allclose(found, expected.mean(dim=0).numpy(), atol=2e-3)  # OpenCV's places are rounded to 1/32


@pytest.mark.parametrize("count", [2, 4])
def test_a_net_that_was_not_trained_with_moved_faces_sees_none(model, faces, count):
    classifier = Classifier(with_augmentation(model, "mirror: true"))
    middle = torch.from_numpy(faces.images[:5] - model.mean)[..., 3:45, 3:45].float()
    with torch.no_grad():
        expected = sum(next(iter(classifier.net(data=view).values())) for view in (middle, middle.flip(-1))) / 2
    assert np.allclose(classifier.probabilities(faces.images[:5], tta=count), expected.numpy(), atol=1e-5)


def test_a_run_says_how_it_moved_its_faces(options, tmp_path):
    run = train.train(replace(options, epochs=1, rotation=9.0, zoom=0.05), tmp_path / "run").run
    augmentation = models.load_model(run.path).augmentation
    assert (augmentation.rotation, augmentation.mirror) == (9, True)
    assert augmentation.zoom == pytest.approx(0.05)
    assert not augmentation.mean_file


@pytest.mark.parametrize("transform", ["zoom: 3", "zoom: nan", "rotation: ten", 7])
def test_an_augmentation_that_is_none_is_one_clear_error(model, transform):
    with pytest.raises(ModelError, match="the recipe's transform is damaged: "):
        Classifier(with_augmentation(model, transform))


@pytest.mark.parametrize("content", [b"", b"garbage", b"\xff" * 200, b"\x80\x04pickle"])
def test_a_file_that_is_no_model_is_one_clear_error(tmp_path, content):
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"not a readable \.safetensors"):
        models.load_model(path)


def test_a_safetensors_of_somebody_else_is_refused(tmp_path):
    save_file({"a": torch.zeros(1)}, tmp_path / "m.safetensors")
    with pytest.raises(ModelError, match="no format mark"):
        models.load_model(tmp_path / "m.safetensors")


def test_weights_that_do_not_fit_the_net_are_refused(model):
    weights = dict(model.weights)
    moved = weights.pop("fc3/0")
    with pytest.raises(ModelError, match="fc3/0"):
        Classifier(model).load_weights(weights)
    with pytest.raises(ModelError, match=r"fc3/0: found \(128, 7\), expected \(7, 128\)"):
        Classifier(model).load_weights({**weights, "fc3/0": moved.T})


def test_a_name_that_is_nothing_lists_what_there_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="known are face_emotion_net"):
        models.load_model("nothing")
    with pytest.raises(ModelError, match=r"no best\.safetensors"):
        models.load_model(tmp_path)


def test_an_absolute_path_is_not_a_file_of_that_name_beside_it(trained, model, tmp_path):
    shutil.copytree(trained.run.path, tmp_path / "mine")
    model.save(tmp_path / "mine.safetensors")
    assert models.resolve_model(tmp_path / "mine") == tmp_path / "mine" / "best.safetensors"
