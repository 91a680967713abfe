from __future__ import annotations

import numpy as np
import pytest
import torch

import prototxt_like as pl
from fer_lmdb.errors import RunError
from fer_lmdb.targets import Targets, paste, soften_loss


def targets(text, classes=5):
    return Targets(pl.parse_solver(f"base_lr: 1 {text}"), classes, seed=0)


FACES = torch.arange(6.0).reshape(6, 1, 1, 1).expand(6, 1, 8, 10).clone()
LABELS = torch.tensor([0, 1, 2, 3, 4, 0])


def test_without_extensions_labels_and_faces_stay_as_they_are():
    faces, labels = targets("")(FACES, LABELS, 3)
    assert faces is FACES
    assert labels is LABELS


def test_smoothing_spreads_its_share_evenly():
    _, soft = targets("label_smoothing: 0.1")(FACES, LABELS, 0)
    assert soft[2].tolist() == pytest.approx([0.02, 0.02, 0.92, 0.02, 0.02])


def test_mixup_mixes_faces_and_targets_in_the_same_proportion():
    faces, soft = targets("mixup: 1")(FACES, LABELS, 0)
    assert not torch.equal(faces, FACES)
    assert torch.allclose(soft.sum(1), torch.ones(6))
    one_hot = torch.nn.functional.one_hot(LABELS, 5).float()
    for own in range(6):
        matches = [
            (other, share)
            for other in range(6)
            for share in [(faces[own, 0, 0, 0] - other) / (own - other) if other != own else torch.tensor(1.0)]
            if torch.allclose(soft[own], share * one_hot[own] + (1 - share) * one_hot[other], atol=1e-5)
        ]
        assert matches


def test_cutmix_pastes_one_rectangle_and_counts_its_area():
    faces, soft = targets("cutmix: 1")(FACES, LABELS, 2)
    for own in range(6):
        pasted = float((faces[own] != own).float().mean())
        assert float(soft[own, LABELS[own]]) >= 1 - pasted - 1e-6
        rows, columns = torch.nonzero(faces[own, 0] != own, as_tuple=True)
        if len(rows):
            assert len(rows) == (rows.max() - rows.min() + 1) * (columns.max() - columns.min() + 1)


def test_paste_tells_the_share_that_stayed():
    faces, share = paste(torch.zeros(2, 1, 10, 10), torch.ones(2, 1, 10, 10), np.random.default_rng(1), 0.6)
    assert share == pytest.approx(1 - float(faces.mean()))


def test_a_draw_depends_on_seed_and_iteration_alone():
    make = targets("mixup: 0.4 cutmix: 1 mix_probability: 0.7")
    for iteration in range(5):
        assert torch.equal(make(FACES, LABELS, iteration)[0], make(FACES, LABELS, iteration)[0])
    assert not torch.equal(make(FACES, LABELS, 1)[1], make(FACES, LABELS, 2)[1])


def test_mix_probability_leaves_batches_alone():
    make = targets("mixup: 1 mix_probability: 0.5")
    alone = [torch.equal(make(FACES, LABELS, i)[0], FACES) for i in range(200)]
    assert 70 < sum(alone) < 130


@pytest.mark.parametrize("text", ["label_smoothing: 1", "label_smoothing: -0.1", "mixup: -1", "cutmix: -2"])
def test_values_out_of_range_are_refused(text):
    with pytest.raises(RunError):
        targets(text)


def test_a_net_without_softmax_loss_cannot_take_distributions():
    with pytest.raises(RunError, match="SoftmaxWithLoss"):
        soften_loss(pl.NetParameter(name="n"))
