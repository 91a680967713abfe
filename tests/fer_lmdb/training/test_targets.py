from __future__ import annotations

import numpy as np
import pytest
import torch

import prototxt_like as pl
from fer_lmdb.errors import RunError
from fer_lmdb.training.loss_layers import use_soft_labels
from fer_lmdb.training.mixup import cutmix, validate_mixup
from fer_lmdb.training.targets import BatchTargets, validate_targets


def targets(text, online_teachers=None):
    return BatchTargets(pl.parse_solver(f"base_lr: 1 {text}"), 5, 0, online_teachers)


FACES = torch.arange(6.0).reshape(6, 1, 1, 1).expand(6, 1, 8, 10).clone()
LABELS = torch.tensor([0, 1, 2, 3, 4, 0])


def test_without_extensions_faces_and_labels_are_unchanged():
    faces, labels = targets("")(FACES, LABELS, 3)
    assert faces is FACES
    assert labels is LABELS


def test_label_smoothing():
    _, soft = targets("label_smoothing: 0.1")(FACES, LABELS, 0)
    assert soft[2].tolist() == pytest.approx([0.02, 0.02, 0.92, 0.02, 0.02])


def test_mixup_uses_one_ratio_for_faces_and_targets():
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


def test_cutmix_weights_targets_by_area():
    faces, soft = targets("cutmix: 1")(FACES, LABELS, 2)
    for own in range(6):
        pasted = float((faces[own] != own).float().mean())
        assert float(soft[own, LABELS[own]]) >= 1 - pasted - 1e-6
        rows, columns = torch.nonzero(faces[own, 0] != own, as_tuple=True)
        if len(rows):
            assert len(rows) == (rows.max() - rows.min() + 1) * (columns.max() - columns.min() + 1)


def test_cutmix_returns_the_kept_fraction():
    faces, share = cutmix(torch.zeros(2, 1, 10, 10), torch.ones(2, 1, 10, 10), np.random.default_rng(1), 0.6)
    assert share == pytest.approx(1 - float(faces.mean()))


def test_mixing_is_a_function_of_seed_and_batch_number():
    make = targets("mixup: 0.4 cutmix: 1 mix_probability: 0.7")
    for iteration in range(5):
        assert torch.equal(make(FACES, LABELS, iteration)[0], make(FACES, LABELS, iteration)[0])
    assert not torch.equal(make(FACES, LABELS, 1)[1], make(FACES, LABELS, 2)[1])


def test_mix_probability():
    make = targets("mixup: 1 mix_probability: 0.5")
    alone = [torch.equal(make(FACES, LABELS, i)[0], FACES) for i in range(200)]
    assert 70 < sum(alone) < 130


def test_mix_until():
    make = targets("mixup: 1 mix_until: 0.85 max_iter: 200")
    alone = [torch.equal(make(FACES, LABELS, i)[0], FACES) for i in range(200)]
    assert not any(alone[:170])
    assert all(alone[170:])


def test_mix_until_with_iter_size():
    make = targets("mixup: 1 mix_until: 0.5 max_iter: 10 iter_size: 3")
    assert not torch.equal(make(FACES, LABELS, 14)[0], FACES)
    assert torch.equal(make(FACES, LABELS, 15)[0], FACES)


def test_targets_are_distributions_after_mix_until():
    make = targets("mixup: 1 mix_until: 0.5 max_iter: 4")
    assert torch.equal(make(FACES, LABELS, 3)[1], torch.nn.functional.one_hot(LABELS, 5).float())


def test_class_weights_scale_target_rows():
    make = targets("class_weight: [1, 2, 3, 4, 5] label_smoothing: 0.1")
    rows = make.builder.rows(LABELS, None, torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]))
    _, soft = make(FACES, rows, 0)
    assert soft.sum(1).tolist() == pytest.approx([1, 2, 3, 4, 5, 1])
    assert soft[3].tolist() == pytest.approx([0.08, 0.08, 0.08, 3.68, 0.08])


def test_label_smoothing_keeps_zero_targets():
    make = targets('soft_labels: "cross-entropy" label_smoothing: 0.2')
    shares = torch.tensor([[0.5, 0.5, 0, 0, 0], [0.0, 0, 0, 0, 0]])
    _, soft = make(FACES[:2], make.builder.rows(LABELS[:2], shares, None), 0)
    assert soft[0].tolist() == pytest.approx([0.44, 0.44, 0.04, 0.04, 0.04])
    assert soft[1].tolist() == [0, 0, 0, 0, 0]


def test_sampled_labels_follow_the_votes():
    make = targets('soft_labels: "probability"')
    shares = torch.tensor([[0.7, 0, 0.3, 0, 0], [0.0, 0, 0, 0, 1], [0.0, 0, 0, 0, 0]])
    rows = make.builder.rows(LABELS[:3], shares, None)
    drawn = torch.stack([make(FACES[:3], rows, i)[1] for i in range(400)])
    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    assert drawn[:, 0].mean(0).tolist() == pytest.approx([0.7, 0, 0.3, 0, 0], abs=0.07)
    assert drawn[:, 1].mean(0).tolist() == [0, 0, 0, 0, 1]
    assert drawn[:, 2].sum() == 0
    assert torch.equal(make(FACES[:3], rows, 5)[1], make(FACES[:3], rows, 5)[1])


def test_teacher_rows_are_mixed_but_not_smoothed():
    make = targets('teacher: "x" label_smoothing: 0.1 mixup: 1')
    teacher_rows = torch.softmax(torch.randn(6, 5, generator=torch.Generator().manual_seed(1)), dim=1)
    faces, hard, second = make(FACES, make.builder.rows(LABELS, None, None, teacher_rows), 0)
    alike = targets("mixup: 1")(FACES, teacher_rows.new_zeros(6, 1, 5) + teacher_rows[:, None], 0)
    assert torch.equal(faces, alike[0])
    assert torch.allclose(second, alike[1])
    assert torch.allclose(hard.sum(1), torch.ones(6))


def test_online_teachers_run_on_mixed_faces():
    seen = []
    make = targets('teacher: "x" mixup: 1', lambda faces: (seen.append(faces), torch.full((len(faces), 5), 0.2))[1])
    faces, _, teacher_rows = make(FACES, make.builder.rows(LABELS, None, None), 0)
    assert seen[0] is faces
    assert not torch.equal(faces, FACES)
    assert teacher_rows.shape == (6, 5)


@pytest.mark.parametrize(
    "text",
    [
        "label_smoothing: 1",
        "label_smoothing: -0.1",
        "mixup: -1",
        "cutmix: -2",
        "mix_until: 1.5",
        "mix_probability: -1",
        'soft_labels: "votes"',
    ],
)
def test_values_out_of_range_are_rejected(text):
    solver = pl.parse_solver(text)
    with pytest.raises(RunError):
        validate_targets(solver)
        validate_mixup(solver)


def test_soft_labels_require_a_softmax_loss():
    with pytest.raises(RunError, match="SoftmaxWithLoss"):
        use_soft_labels(pl.NetParameter(name="n"))
