from __future__ import annotations

import pytest

import prototxt_like as pl
from fer_lmdb.errors import RunError
from fer_lmdb.training import checkpoints


def solver(text):
    return pl.parse_solver(f"base_lr: 1 {text}")


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("max_iter: 12", []),
        ("max_iter: 12 cosine_cycles: 3", [4, 8, 12]),
        ("max_iter: 10 cosine_cycles: 3", [4, 7, 10]),
        ("max_iter: 11 keep_every: 4", [4, 8]),
    ],
)
def test_checkpoint_iterations(text, kept):
    parameter = solver(text)
    assert [i for i in range(1, parameter.max_iter + 1) if checkpoints.is_checkpoint_due(parameter, i)] == kept


def test_a_cycle_ends_when_the_learning_rate_restarts():
    parameter = solver('lr_policy: "cosine" max_iter: 17 cosine_cycles: 4')
    rates = [pl.learning_rate(parameter, i) for i in range(17)]
    rises = [i for i in range(1, 17) if rates[i] > rates[i - 1]]
    assert [i for i in range(1, 17) if checkpoints.is_checkpoint_due(parameter, i)] == rises


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('lr_policy: "cosine" max_iter: 3 cosine_cycles: 4', "cosine_cycles is 4"),
        ('lr_policy: "cosine" max_iter: 3 cosine_cycles: 0', "must be at least 1 and at most 3"),
        ('lr_policy: "fixed" max_iter: 9 cosine_cycles: 3', 'require lr_policy "cosine"'),
        ("max_iter: 9 keep_every: -1", "keep_every is -1"),
    ],
)
def test_invalid_cycles_are_rejected(text, message):
    with pytest.raises(RunError, match=message):
        checkpoints.validate_checkpoints(solver(text))
