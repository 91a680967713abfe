from __future__ import annotations

import pytest

import prototxt_like as pl
from fer_lmdb.errors import RunError
from fer_lmdb.training import early_stopping


def log(*losses):
    return [{"val_loss": loss, "val_accuracy": 1 - loss} for loss in losses]


PLATEAU = pl.parse_solver('base_lr: 1 lr_policy: "plateau" plateau_patience: 2')
EARLY = pl.parse_solver("base_lr: 1 early_stop_patience: 3")


@pytest.mark.parametrize(
    ("losses", "falls"),
    [((), 0), ((1, 0.9, 0.8), 0), ((1, 1), 0), ((1, 1, 1), 1), ((1, 1, 0.9, 1, 1), 1), ((1, 2, 2, 2, 2), 2)],
)
def test_the_rate_falls_after_so_many_tests_without_a_better_value(losses, falls):
    assert early_stopping.count_lr_reductions(PLATEAU, log(*losses)) == falls


def test_accuracy_counts_upwards():
    solver = pl.parse_solver('base_lr: 1 lr_policy: "plateau" plateau_patience: 1 monitor: "accuracy"')
    assert early_stopping.count_lr_reductions(solver, log(0.5, 0.4, 0.3)) == 0
    assert early_stopping.count_lr_reductions(solver, log(0.5, 0.6)) == 1


def test_training_stops_early_and_not_before():
    assert not early_stopping.should_stop(EARLY, log(1, 2, 2))
    assert early_stopping.should_stop(EARLY, log(1, 2, 2, 2))
    assert not early_stopping.should_stop(EARLY, log(1, 2, 2, 0.5, 2, 2))
    assert not early_stopping.should_stop(pl.parse_solver("base_lr: 1"), log(*[1] * 50))


def test_a_value_must_be_better_by_more_than_min_delta():
    solver = pl.parse_solver("base_lr: 1 early_stop_patience: 2 min_delta: 0.1")
    assert early_stopping.should_stop(solver, log(1, 0.95, 0.93))


def test_an_invalid_monitor_is_rejected():
    with pytest.raises(RunError, match="validation"):
        early_stopping.validate_early_stopping(EARLY, has_validation=False)
    with pytest.raises(RunError, match="loss, accuracy"):
        early_stopping.validate_early_stopping(
            pl.parse_solver('base_lr: 1 early_stop_patience: 1 monitor: "f1"'), has_validation=True
        )
    early_stopping.validate_early_stopping(pl.parse_solver("base_lr: 1"), has_validation=False)


def test_a_negative_patience_is_rejected():
    with pytest.raises(RunError, match="early_stop_patience is -1; it must be 0"):
        early_stopping.validate_early_stopping(pl.parse_solver("early_stop_patience: -1"), has_validation=True)
