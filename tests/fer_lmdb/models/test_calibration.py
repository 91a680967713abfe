"""Temperatures: fitting, applying, and what a model file holds of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fer_lmdb.errors import ModelError
from fer_lmdb.models.calibration import apply_temperature, fit_temperature
from fer_lmdb.models.classifier import Classifier
from fer_lmdb.models.ensemble import temperature_of
from fer_lmdb.models.loaded_model import load_model
from fer_lmdb.models.metadata import ModelMetadata


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


def test_a_temperature_divides_the_logits() -> None:
    logits = np.random.default_rng(0).normal(0, 3, (50, 7))
    for temperature in (0.5, 1.0, 2.5):
        found = apply_temperature(softmax(logits), temperature)
        np.testing.assert_allclose(found, softmax(logits / temperature), atol=1e-6)
        assert found.dtype == np.float32


def test_probabilities_of_0_and_1_and_no_faces_stay_valid() -> None:
    certain = np.array([[1, 0, 0], [0.5, 0.5, 0]], np.float32)
    np.testing.assert_allclose(apply_temperature(certain, 0.5), certain, atol=1e-6)
    np.testing.assert_allclose(apply_temperature(certain, 20.0).sum(axis=1), 1, atol=1e-6)
    assert apply_temperature(np.zeros((0, 7), np.float32), 0.5).shape == (0, 7)


@pytest.mark.parametrize("true", [0.4, 1.0, 3.0])
def test_the_temperature_that_made_the_labels_is_found(true: float) -> None:
    generator = np.random.default_rng(1)
    logits = generator.normal(0, 2, (20_000, 5))
    chances = softmax(logits / true).astype(np.float64)
    labels = (chances.cumsum(axis=1) < generator.uniform(0, 1, (len(logits), 1))).sum(axis=1).clip(0, 4)
    assert fit_temperature(softmax(logits), labels) == pytest.approx(true, rel=0.05)


@pytest.mark.parametrize("stored", [None, 0, -1, "0.7", True, float("nan"), float("inf")])
def test_an_invalid_stored_temperature_is_1(stored: object) -> None:
    assert ModelMetadata({"calibration": {"temperature": stored}}).temperature == 1
    assert ModelMetadata({"calibration": 3}).temperature == 1


def test_a_loaded_model_predicts_calibrated_probabilities(trained, stripes_data, tmp_path) -> None:
    model = load_model(trained.run.path)
    warmer = replace(model, metadata=model.metadata.with_calibration({"temperature": 0.5}))
    warmer.save(tmp_path / "m.safetensors")
    faces = np.random.default_rng(0).integers(0, 256, (9, 1, 48, 48), dtype=np.uint8)
    expected = apply_temperature(Classifier(model).probabilities(faces), 0.5)
    stored = load_model(tmp_path / "m.safetensors", device="cpu")
    np.testing.assert_allclose(stored.predict_proba(faces), expected, atol=1e-6)
    assert stored.metadata.with_calibration(None).to_dict() == model.metadata.to_dict()


def test_an_ensemble_has_the_geometric_mean_of_the_temperatures(trained) -> None:
    model = load_model(trained.run.path)
    half, double = (replace(model, metadata=model.metadata.with_calibration({"temperature": t})) for t in (0.5, 2.0))
    assert temperature_of([model]) == 1
    assert temperature_of([half]) == temperature_of([half, half], [1, 2]) == 0.5
    assert temperature_of([half, double]) == pytest.approx(1)
    assert temperature_of([half, double], [3, 1]) == pytest.approx(0.5**0.5)
    assert temperature_of([half, double], [3, 1], 0.8) == 0.8
    with pytest.raises(ModelError, match="invalid temperature: found 0, expected a number greater than 0"):
        temperature_of([half], None, 0)
