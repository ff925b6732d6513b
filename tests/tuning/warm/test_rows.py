from __future__ import annotations

import numpy as np
import pytest

from npu_tune.space import Knob, SearchSpace
from npu_tune.tuning.warm.rows import RowTable, RowWeights, weigh_rows

SPACE = SearchSpace(tuple(Knob(layer, "k", (0, 1), 0) for layer in ("a", "b", "c")))


def test_rows_of_layers_without_knobs_count_for_the_one_before():
    profile = {
        "a": {"cycles": 1.0, "live": 5.0},
        "copy": {"cycles": 2.0, "live": 9.0},
        "b": {"cycles": 4.0, "live": 1.0},
    }
    table = RowTable.of(SPACE, profile, cost="cycles")

    assert table.columns == ("cycles", "live")
    assert table.read(profile).tolist() == [[3.0, 9.0], [4.0, 1.0], [0.0, 0.0]]


def test_layers_ran_together_that_have_the_same_number():
    profile = {
        layer: {"cycles": 1.0, "epoch": epoch}
        for layer, epoch in zip("abc", (0, 0, 1), strict=True)
    }
    table = RowTable.of(SPACE, profile, cost="cycles", group="epoch")

    assert table.columns == ("cycles",)
    assert table.runs(profile) == [range(2), range(2), range(2, 3)]
    assert RowTable.of(SPACE, profile, cost="cycles").runs(profile) == [
        range(1),
        range(1, 2),
        range(2, 3),
    ]


def test_what_a_unit_adds_is_found_from_sums_and_peaks():
    random = np.random.default_rng(0)
    tables = list(random.uniform(1.0, 9.0, (30, 3, 3)))
    costs = [0.2 * t[:, 0].sum() + 0.7 * t[:, 2].max() for t in tables]
    weights = weigh_rows(tables, costs)

    assert weights.column == 2
    assert (weights.unit, weights.peak) == (pytest.approx(0.2), pytest.approx(0.7))


def test_no_peak_counts_where_the_sum_says_it_all():
    tables = list(np.random.default_rng(0).uniform(1.0, 9.0, (30, 3, 3)))
    weights = weigh_rows(tables, [3.0 * t[:, 0].sum() for t in tables])

    assert (weights.unit, weights.peak) == (pytest.approx(3.0), 0.0)


@pytest.mark.parametrize("count", [0, 3])
def test_a_few_trials_tell_nothing(count):
    tables = list(np.random.default_rng(0).uniform(1.0, 9.0, (count, 3, 3)))
    assert weigh_rows(tables, [float(t[:, 0].sum()) for t in tables]) is None


def test_equal_costs_tell_nothing():
    tables = list(np.random.default_rng(0).uniform(1.0, 9.0, (9, 3, 3)))
    assert weigh_rows(tables, [1.0] * 9) is None


def test_a_change_is_that_of_its_layers_and_of_the_peak():
    weights = RowWeights(2.0, 10.0, 1)
    before = np.array([[5.0, 8.0], [5.0, 6.0], [5.0, 4.0]])
    after = np.array([[4.0, 3.0], [5.0, 6.0], [9.0, 4.0]])

    assert weights.change(before, after, [0]) == -2.0 - 20.0
    assert weights.change(before, after, [1]) == 0.0
    assert weights.rise(before, after) == 0.0


def test_what_rises_everywhere_is_no_layers_own():
    weights = RowWeights(2.0, 10.0, 1)
    before = np.array([[5.0, 8.0], [5.0, 6.0], [5.0, 4.0]])
    after = before + np.array([0.0, 3.0])

    assert weights.rise(before, after) == 3.0
    assert weights.change(before, after, [0, 1], rise=3.0) == 0.0
