from __future__ import annotations

import pytest
import torch

from fer_lmdb.errors import RunError
from fer_lmdb.training.ema import ModelEMA


def test_ema_formula():
    weight = torch.tensor([1.0, -2.0])
    average = ModelEMA({"w": weight}, decay=0.75)
    expected = weight.clone()
    for step in range(5):
        weight.add_(step)  # in place, as an update rule does
        average.update({"w": weight}, before=1000 + step)
        expected = 0.75 * expected + 0.25 * weight
    assert torch.allclose(average.blobs["w"], expected)


def test_early_updates_use_a_smaller_decay():
    young, steady = (ModelEMA({"w": torch.zeros(1)}, decay=0.999) for _ in range(2))
    for step in range(100):
        young.update({"w": torch.ones(1)}, before=step)
        steady.update({"w": torch.ones(1)}, before=100_000)
    assert young.blobs["w"] > 0.99
    assert steady.blobs["w"] == pytest.approx(1 - 0.999**100, rel=1e-3)


def test_averages_are_copies_of_the_weights():
    weight = torch.ones(3)
    average = ModelEMA({"w": weight}, decay=0.5)
    weight.zero_()
    assert torch.equal(average.blobs["w"], torch.ones(3))


def test_averages_are_restored():
    average = ModelEMA({"w": torch.zeros(2)}, decay=0.9)
    average.load_state_dict({"w": torch.tensor([3.0, 4.0])})
    average.update({"w": torch.tensor([13.0, 4.0])}, before=1000)
    assert torch.allclose(average.blobs["w"], torch.tensor([4.0, 4.0]))


@pytest.mark.parametrize("decay", [1.0, -0.1, float("nan")])
def test_a_decay_out_of_range_is_rejected(decay):
    with pytest.raises(RunError, match=r"e\.g\. 0\.999"):
        ModelEMA({}, decay)
