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
    faces, share = cutmix(torch.zeros(2, 1, 10, 10), torch.ones(2, 1, 10, 10), np.random.default_rng(1), 0.6)
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


def test_mixing_ends_where_mix_until_says():
    make = targets("mixup: 1 mix_until: 0.85 max_iter: 200")
    alone = [torch.equal(make(FACES, LABELS, i)[0], FACES) for i in range(200)]
    assert not any(alone[:170])
    assert all(alone[170:])


def test_the_end_of_mixing_counts_the_batches_of_every_iteration():
    make = targets("mixup: 1 mix_until: 0.5 max_iter: 10 iter_size: 3")
    assert not torch.equal(make(FACES, LABELS, 14)[0], FACES)
    assert torch.equal(make(FACES, LABELS, 15)[0], FACES)


def test_after_the_mixing_targets_stay_distributions():
    make = targets("mixup: 1 mix_until: 0.5 max_iter: 4")
    assert torch.equal(make(FACES, LABELS, 3)[1], torch.nn.functional.one_hot(LABELS, 5).float())


def test_weights_multiply_the_rows_of_their_class():
    make = targets("class_weight: [1, 2, 3, 4, 5] label_smoothing: 0.1")
    rows = make.builder.rows(LABELS, None, torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]))
    _, soft = make(FACES, rows, 0)
    assert soft.sum(1).tolist() == pytest.approx([1, 2, 3, 4, 5, 1])
    assert soft[3].tolist() == pytest.approx([0.08, 0.08, 0.08, 3.68, 0.08])


def test_a_face_whose_votes_do_not_count_has_no_target_whatever_is_smoothed():
    make = targets('soft_labels: "cross-entropy" label_smoothing: 0.2')
    shares = torch.tensor([[0.5, 0.5, 0, 0, 0], [0.0, 0, 0, 0, 0]])
    _, soft = make(FACES[:2], make.builder.rows(LABELS[:2], shares, None), 0)
    assert soft[0].tolist() == pytest.approx([0.44, 0.44, 0.04, 0.04, 0.04])
    assert soft[1].tolist() == [0, 0, 0, 0, 0]


def test_probability_draws_labels_as_often_as_they_were_voted_for():
    make = targets('soft_labels: "probability"')
    shares = torch.tensor([[0.7, 0, 0.3, 0, 0], [0.0, 0, 0, 0, 1], [0.0, 0, 0, 0, 0]])
    rows = make.builder.rows(LABELS[:3], shares, None)
    drawn = torch.stack([make(FACES[:3], rows, i)[1] for i in range(400)])
    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    assert drawn[:, 0].mean(0).tolist() == pytest.approx([0.7, 0, 0.3, 0, 0], abs=0.07)
    assert drawn[:, 1].mean(0).tolist() == [0, 0, 0, 0, 1]
    assert drawn[:, 2].sum() == 0
    assert torch.equal(make(FACES[:3], rows, 5)[1], make(FACES[:3], rows, 5)[1])


def test_teachers_rows_are_mixed_like_the_labels_but_never_smoothed():
    make = targets('teacher: "x" label_smoothing: 0.1 mixup: 1')
    taught = torch.softmax(torch.randn(6, 5, generator=torch.Generator().manual_seed(1)), dim=1)
    faces, hard, second = make(FACES, make.builder.rows(LABELS, None, None, taught), 0)
    alike = targets("mixup: 1")(FACES, taught.new_zeros(6, 1, 5) + taught[:, None], 0)
    assert torch.equal(faces, alike[0])
    assert torch.allclose(second, alike[1])
    assert torch.allclose(hard.sum(1), torch.ones(6))


def test_watching_teachers_see_the_mixed_faces():
    seen = []
    make = targets('teacher: "x" mixup: 1', lambda faces: (seen.append(faces), torch.full((len(faces), 5), 0.2))[1])
    faces, _, taught = make(FACES, make.builder.rows(LABELS, None, None), 0)
    assert seen[0] is faces
    assert not torch.equal(faces, FACES)
    assert taught.shape == (6, 5)


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
def test_values_out_of_range_are_refused(text):
    solver = pl.parse_solver(text)
    with pytest.raises(RunError):
        validate_targets(solver)
        validate_mixup(solver)


def test_a_net_without_softmax_loss_cannot_take_distributions():
    with pytest.raises(RunError, match="SoftmaxWithLoss"):
        use_soft_labels(pl.NetParameter(name="n"))
