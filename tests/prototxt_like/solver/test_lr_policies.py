"""Tests of learning-rate policies against Caffe and against their definitions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format

from prototxt_like.errors import SolverError
from prototxt_like.schema.caffe_schema_pb2 import SolverParameter
from prototxt_like.solver.lr_policies import current_step, learning_rate, policy_names, steps_passed

CAFFE_CASES = ["fixed", "step", "exp", "inv", "multistep", "multistep_dup", "poly", "sigmoid"]


def solver(text: str) -> SolverParameter:
    return text_format.Parse(text, SolverParameter())


@pytest.mark.parametrize("case", CAFFE_CASES)
def test_learning_rate_equals_caffe(shared: Path, case: str) -> None:
    # Caffe computes in float32, so powers of 200 factors are off by about 1e-6.
    with np.load(shared / "golden/caffe/layers/lr_policies.npz") as golden:
        parameter = solver(str(golden[f"{case}/solver"]))
        rates = [learning_rate(parameter, int(i)) for i in golden["iters"]]
        np.testing.assert_allclose(rates, golden[f"{case}/lr"], rtol=3e-6)


def test_every_golden_policy_is_compared(shared: Path) -> None:
    with np.load(shared / "golden/caffe/layers/lr_policies.npz") as golden:
        assert sorted(name.removesuffix("/lr") for name in golden.files if name.endswith("/lr")) == sorted(CAFFE_CASES)


def test_equal_step_values_take_effect_in_consecutive_iterations() -> None:
    assert [steps_passed([2, 2, 3], i) for i in range(6)] == [0, 0, 1, 2, 3, 3]


def test_current_step_is_that_of_the_last_update() -> None:
    multistep = solver('lr_policy: "multistep" stepvalue: 3 stepvalue: 5')
    assert [current_step(multistep, done) for done in range(8)] == [0, 0, 0, 0, 1, 1, 2, 2]
    assert [current_step(solver('lr_policy: "step" stepsize: 2'), done) for done in range(6)] == [0, 0, 0, 1, 1, 2]
    assert current_step(solver('lr_policy: "fixed"'), 9) == 0


def test_cosine_falls_from_base_lr_to_min_lr() -> None:
    parameter = solver('base_lr: 0.5 min_lr: 0.125 lr_policy: "cosine" max_iter: 100')
    rates = [learning_rate(parameter, i) for i in (0, 50, 100, 150)]
    assert rates == pytest.approx([0.5, 0.3125, 0.125, 0.125])
    assert all(np.diff([learning_rate(parameter, i) for i in range(101)]) < 0)


def test_cosine_cycles_restart_at_base_lr_and_end_at_min_lr() -> None:
    once = solver('base_lr: 0.5 min_lr: 0.125 lr_policy: "cosine" max_iter: 40')
    thrice = solver('base_lr: 0.5 min_lr: 0.125 lr_policy: "cosine" max_iter: 120 cosine_cycles: 3')
    cycle = [learning_rate(once, i) for i in range(40)]
    assert [learning_rate(thrice, i) for i in range(120)] == pytest.approx(cycle * 3)
    assert learning_rate(thrice, 120) == 0.125


def test_cycles_that_do_not_divide_max_iter_start_at_fractions_of_it() -> None:
    parameter = solver('base_lr: 1 lr_policy: "cosine" max_iter: 10 cosine_cycles: 3')
    rates = [learning_rate(parameter, i) for i in range(10)]
    assert [i for i in range(1, 10) if rates[i] > rates[i - 1]] == [4, 7]


def test_plateau_falls_by_its_factor_down_to_min_lr() -> None:
    parameter = solver('base_lr: 0.5 min_lr: 0.1 lr_policy: "plateau" plateau_factor: 0.5')
    assert [learning_rate(parameter, 7, plateaus=n) for n in range(4)] == pytest.approx([0.5, 0.25, 0.125, 0.1])


def test_warmup_rises_linearly_and_then_ends() -> None:
    parameter = solver('base_lr: 0.5 lr_policy: "step" gamma: 0.1 stepsize: 6 warmup_iter: 4')
    rates = [learning_rate(parameter, i) for i in range(7)]
    assert rates == pytest.approx([0.125, 0.25, 0.375, 0.5, 0.5, 0.5, 0.05])


def test_unknown_policy_lists_the_known_ones() -> None:
    with pytest.raises(SolverError, match=r'unknown lr_policy "cosin"; expected one of cosine, exp, fixed'):
        learning_rate(solver('lr_policy: "cosin"'), 0)
    assert "plateau" in policy_names()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('lr_policy: "step" gamma: 0.1', "invalid stepsize: found 0, expected more than 0"),
        ('lr_policy: "exp" gamma: -1', "invalid gamma: found -1, expected 0 or more"),
        ('lr_policy: "poly"', "invalid max_iter: found 0"),
        ('lr_policy: "cosine"', "invalid max_iter: found 0"),
        ('lr_policy: "cosine" max_iter: 9 cosine_cycles: 0', "invalid cosine_cycles: found 0"),
        ('lr_policy: "exp" base_lr: 1 gamma: 1e38', "overflows at iteration 9"),
        ('lr_policy: "poly" base_lr: 1 power: -1 max_iter: 9', "overflows at iteration 9"),
    ],
)
def test_missing_fields_are_reported(text: str, message: str) -> None:
    with pytest.raises(SolverError, match=message):
        learning_rate(solver(text), 9)


def test_poly_ends_at_zero_and_sigmoid_does_not_overflow() -> None:
    assert learning_rate(solver('base_lr: 1 lr_policy: "poly" power: 0.5 max_iter: 10'), 20) == 0
    assert learning_rate(solver('base_lr: 1 lr_policy: "sigmoid" gamma: 5 stepsize: 100000'), 0) < 1e-300
