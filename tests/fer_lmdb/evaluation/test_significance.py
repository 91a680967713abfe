from __future__ import annotations

import math

import numpy as np
import pytest

from fer_lmdb.evaluation.significance import mcnemar_test


def predictions(both, first, second, neither):
    one = [True] * both + [True] * first + [False] * second + [False] * neither
    other = [True] * both + [False] * first + [True] * second + [False] * neither
    return np.array(one), np.array(other)


@pytest.mark.parametrize(("first", "second"), [(9, 1), (3, 12), (40, 25), (5, 5)])
def test_p_is_the_probability_of_a_split_as_uneven_by_chance(first, second):
    count, fewer = first + second, min(first, second)
    tail = sum(math.comb(count, k) for k in range(fewer + 1)) / 2**count
    found = mcnemar_test(*predictions(70, first, second, 20))
    assert found["p_value"] == pytest.approx(min(1, 2 * tail))
    assert (found["only_first"], found["only_second"]) == (first, second)
    assert found["difference"] == pytest.approx((first - second) / (90 + count))


def test_faces_on_which_both_agree_have_no_effect():
    assert mcnemar_test(*predictions(0, 9, 1, 0))["p_value"] == mcnemar_test(*predictions(500, 9, 1, 900))["p_value"]


def test_identical_predictions_do_not_differ():
    found = mcnemar_test(*predictions(50, 0, 0, 10))
    assert (found["p_value"], found["significant"], found["difference"]) == (1.0, False, 0.0)


def test_significance_is_at_five_percent():
    assert mcnemar_test(*predictions(50, 9, 1, 10))["significant"]  # p = 0.021
    assert not mcnemar_test(*predictions(50, 8, 2, 10))["significant"]  # p = 0.109
