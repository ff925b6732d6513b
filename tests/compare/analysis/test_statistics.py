import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npu_tune.compare.analysis.statistics import (
    a12,
    evaluations_to_level,
    holm,
    median,
    quartiles,
    wilcoxon_p,
)

INF, NAN = math.inf, math.nan
FIGURES = st.lists(st.integers(0, 9).map(float), min_size=1, max_size=8)


def test_a12_counts_pairs_in_which_ours_is_lower_and_half_of_the_ties():
    # Of 2 x 3 pairs, 1 beats 2 and 3 and ties with 1; 2 beats 3 and ties with 2.
    assert a12([1, 2], [1, 2, 3]) == pytest.approx((2 + 0.5 + 1 + 0.5) / 6)
    assert a12([1, 2], [3, 4]) == 1.0
    assert a12([5], [5]) == 0.5


@given(FIGURES, FIGURES)
def test_a12_of_both_directions_adds_up_to_one(ours, theirs):
    assert a12(ours, theirs) + a12(theirs, ours) == pytest.approx(1.0)


def test_runs_that_are_not_there_do_not_count():
    assert a12([1, NAN], [2]) == 1.0
    assert wilcoxon_p([1, 2, 3, NAN], [2, 4, 6, 1]) == wilcoxon_p([1, 2, 3], [2, 4, 6])
    assert quartiles([NAN, 1, 2, 3]) == (1.5, 2.0, 2.5)


def test_wilcoxon_agrees_with_the_exact_distribution_of_small_samples():
    # All n differences have one sign: two of the 2^n assignments of signs are as extreme.
    assert wilcoxon_p([1, 2, 3, 4, 5], [2, 4, 6, 8, 10]) == pytest.approx(2 / 2**5)
    # Ranks 1 to 4 with the signs -, +, +, +: W = 1, reached by {} and {1} on either side.
    assert wilcoxon_p([2, 2, 2, 2], [3, 0, -1, -2]) == pytest.approx(4 / 2**4)


def test_wilcoxon_is_sure_of_nothing_where_all_pairs_are_equal():
    assert wilcoxon_p([1, 2], [1, 2]) == 1.0
    assert wilcoxon_p([INF, 1], [INF, 1]) == 1.0


def test_never_having_found_anything_is_worse_than_anything():
    assert wilcoxon_p([1, 2, 3, 4, 5], [INF] * 5) == pytest.approx(2 / 2**5)


def test_holm_multiplies_by_the_number_of_hypotheses_left():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert len(holm([])) == 0


def test_infinite_values_sort_last_in_medians_and_quartiles():
    assert median([1, INF, 2]) == 2.0
    assert median([1, INF]) == INF
    assert quartiles([1, 2, INF, INF, INF]) == (2.0, INF, INF)


def test_the_first_evaluation_that_reaches_a_level_counts_from_one():
    curve = np.array([[3.0, 2.0, 1.0], [3.0, 3.0, 3.0], [1.0, 1.0, 1.0], [NAN, NAN, NAN]])
    assert evaluations_to_level(curve, 2.0) == pytest.approx([2, INF, 1, NAN], nan_ok=True)
