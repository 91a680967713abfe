"""Pretrained models: what they were trained on, and how they were calibrated and evaluated."""

from __future__ import annotations

import pytest
import torch

from fer_lmdb.evaluation.contamination import training_splits
from fer_lmdb.models.registry import list_pretrained, load_model

FER2013_SHA256 = "9724f668198106ab8c3456de159e38910b63ad29d0c01ba86f9b76a27567ae27"


@pytest.mark.parametrize("name", list_pretrained())
def test_no_pretrained_model_was_trained_on_validation_or_test(name: str) -> None:
    splits = training_splits(load_model(name).metadata)
    assert splits
    assert all(each == ["train"] for each in splits.values())


@pytest.mark.parametrize(("name", "seed", "temperature"), [("fer_mini", 302, 0.685), ("fer_conv12_wide", 301, 0.703)])
def test_the_distilled_models_state_their_training(name: str, seed: int, temperature: float) -> None:
    model = load_model(name)
    metadata = model.metadata
    assert metadata.options["seed"] == seed
    assert len(metadata.options["teachers"]) == 4
    assert "description" in metadata.recipe
    assert training_splits(metadata)[FER2013_SHA256] == ["train"]
    assert metadata.temperature == pytest.approx(temperature, abs=5e-4)
    assert metadata.calibration["split"] == "val"
    assert {(each["split"], each["tta"]) for each in metadata.evaluations} >= {("val", 1), ("test", 1), ("test", 4)}
    assert all(each["n"] == 3589 and each["uncalibrated"]["ece"] > each["ece"] for each in metadata.evaluations)
    assert any(blob.dtype == torch.float16 for blob in model.weights.values())


def test_the_wide_model_names_its_initial_weights() -> None:
    assert load_model("fer_conv12_wide").metadata.init["source"] == "fer_conv12_wide, seed 101"
