"""Learning rates, against real Caffe's and against their definition."""

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
def test_rate_equals_caffe(shared: Path, case: str) -> None:
    # Caffe computes in float32, so powers of 200 factors are off by about 1e-6.
    with np.load(shared / "golden/caffe/layers/lr_policies.npz") as golden:
        parameter = solver(str(golden[f"{case}/solver"]))
        rates = [learning_rate(parameter, int(i)) for i in golden["iters"]]
        np.testing.assert_allclose(rates, golden[f"{case}/lr"], rtol=3e-6)


def test_every_golden_policy_is_compared(shared: Path) -> None:
    with np.load(shared / "golden/caffe/layers/lr_policies.npz") as golden:
        assert sorted(name.removesuffix("/lr") for name in golden.files if name.endswith("/lr")) == sorted(CAFFE_CASES)


def test_equal_step_values_pass_one_after_the_other() -> None:
    assert [steps_passed([2, 2, 3], i) for i in range(6)] == [0, 0, 1, 2, 3, 3]


def test_current_step_is_what_the_last_update_used() -> None:
    multistep = solver('lr_policy: "multistep" stepvalue: 3 stepvalue: 5')
    assert [current_step(multistep, done) for done in range(8)] == [0, 0, 0, 0, 1, 1, 2, 2]
    assert [current_step(solver('lr_policy: "step" stepsize: 2'), done) for done in range(6)] == [0, 0, 0, 1, 1, 2]
    assert current_step(solver('lr_policy: "fixed"'), 9) == 0


def test_cosine_goes_from_base_to_minimum() -> None:
    parameter = solver('base_lr: 0.5 min_lr: 0.125 lr_policy: "cosine" max_iter: 100')
    rates = [learning_rate(parameter, i) for i in (0, 50, 100, 150)]
    assert rates == pytest.approx([0.5, 0.3125, 0.125, 0.125])
    assert all(np.diff([learning_rate(parameter, i) for i in range(101)]) < 0)


def test_cosine_cycles_begin_at_the_base_rate_again_and_the_training_ends_low() -> None:
    once = solver('base_lr: 0.5 min_lr: 0.125 lr_policy: "cosine" max_iter: 40')
    thrice = solver('base_lr: 0.5 min_lr: 0.125 lr_policy: "cosine" max_iter: 120 cosine_cycles: 3')
    cycle = [learning_rate(once, i) for i in range(40)]
    assert [learning_rate(thrice, i) for i in range(120)] == pytest.approx(cycle * 3)
    assert learning_rate(thrice, 120) == 0.125


def test_cycles_that_do_not_divide_the_training_begin_where_their_part_does() -> None:
    parameter = solver('base_lr: 1 lr_policy: "cosine" max_iter: 10 cosine_cycles: 3')
    rates = [learning_rate(parameter, i) for i in range(10)]
    assert [i for i in range(1, 10) if rates[i] > rates[i - 1]] == [4, 7]


def test_plateau_falls_by_its_factor_and_stops_at_the_minimum() -> None:
    parameter = solver('base_lr: 0.5 min_lr: 0.1 lr_policy: "plateau" plateau_factor: 0.5')
    assert [learning_rate(parameter, 7, plateaus=n) for n in range(4)] == pytest.approx([0.5, 0.25, 0.125, 0.1])


def test_warmup_rises_evenly_to_the_policy_and_then_leaves_it_alone() -> None:
    parameter = solver('base_lr: 0.5 lr_policy: "step" gamma: 0.1 stepsize: 6 warmup_iter: 4')
    rates = [learning_rate(parameter, i) for i in range(7)]
    assert rates == pytest.approx([0.125, 0.25, 0.375, 0.5, 0.5, 0.5, 0.05])


def test_unknown_policy_names_the_known_ones() -> None:
    with pytest.raises(SolverError, match=r'unknown lr_policy "cosin"; expected one of cosine, exp, fixed'):
        learning_rate(solver('lr_policy: "cosin"'), 0)
    assert "plateau" in policy_names()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('lr_policy: "step" gamma: 0.1', "needs a stepsize above 0, found 0"),
        ('lr_policy: "exp" gamma: -1', "needs a gamma of 0 or more, found -1"),
        ('lr_policy: "poly"', "needs a max_iter above 0, found 0"),
        ('lr_policy: "cosine"', "needs a max_iter above 0, found 0"),
        ('lr_policy: "cosine" max_iter: 9 cosine_cycles: 0', "needs a cosine_cycles above 0, found 0"),
        ('lr_policy: "exp" base_lr: 1 gamma: 1e38', "gives no finite rate at iteration 9"),
        ('lr_policy: "poly" base_lr: 1 power: -1 max_iter: 9', "gives no finite rate at iteration 9"),
    ],
)
def test_missing_numbers_are_named(text: str, message: str) -> None:
    with pytest.raises(SolverError, match=message):
        learning_rate(solver(text), 9)


def test_poly_ends_at_zero_and_sigmoid_survives_far_iterations() -> None:
    assert learning_rate(solver('base_lr: 1 lr_policy: "poly" power: 0.5 max_iter: 10'), 20) == 0
    assert learning_rate(solver('base_lr: 1 lr_policy: "sigmoid" gamma: 5 stepsize: 100000'), 0) < 1e-300
