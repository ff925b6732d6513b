import subprocess
import sys
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from npu_tune._optuna_compat import hypervolume as optuna_hypervolume
from npu_tune.pareto import (
    extend_front,
    hypervolume,
    hypervolume_so_far,
    igd_plus_so_far,
    nondominated,
    nondominated_on_arrival,
    pareto_front,
    weakly_dominates,
)

# Few values, so that points are often equal on some axis or on all.
losses = st.sampled_from([0.25, 0.5, 0.75, 1.0, 1.25])


def sets(axes):
    return st.lists(st.tuples(*[losses] * axes), min_size=1, max_size=12).map(np.array)


some_points = st.integers(1, 3).flatmap(sets)
two_sets = st.integers(2, 3).flatmap(lambda axes: st.tuples(sets(axes), sets(axes)))
rows = st.one_of(st.integers(0, 40), st.integers(0, 700))
tables = st.tuples(rows, st.integers(1, 4), st.integers(1, 30)).flatmap(
    lambda shape: arrays(np.float64, shape[:2], elements=st.integers(0, shape[2]).map(float))
)


def all_of(points):
    return np.ones(len(points), dtype=bool)


def igd_plus(points, reference):
    return igd_plus_so_far(points, all_of(points), reference)[-1]


def volume_by_cells(points, corner):
    """Hypervolume by adding up the cells of the grid that the points span."""
    inside = points[(points < corner).all(axis=1)]
    edges = [np.unique([*inside[:, axis], corner]) for axis in range(points.shape[1])]
    cells = product(*(pairwise(axis) for axis in edges))
    return sum(
        np.prod([high - low for low, high in cell])
        for cell in cells
        if any(all(x <= low for x, (low, _) in zip(point, cell, strict=True)) for point in inside)
    )


@given(two_sets)
def test_a_point_weakly_dominates_another_where_it_is_nowhere_worse(sets_of_points):
    points, others = sets_of_points
    wanted = [[bool((p <= o).all()) for o in others] for p in points]
    assert weakly_dominates(points, others).tolist() == wanted


@given(tables)
def test_the_first_of_equal_points_is_kept_and_every_other_one_is_dominated_by_one_kept(points):
    kept = nondominated(points)
    best = points[kept]
    assert sorted(kept.tolist()) == kept.tolist()
    assert len(np.unique(best, axis=0)) == len(best)
    for index, point in enumerate(points):
        below = (best <= point).all(axis=1)
        assert below.any()
        if index in kept:
            assert below.sum() == 1
            assert not (points[:index] == point).all(axis=1).any()


@given(some_points, st.data())
def test_a_point_enters_unless_a_feasible_one_before_it_is_nowhere_worse(points, data):
    feasible = np.array(
        data.draw(st.lists(st.booleans(), min_size=len(points), max_size=len(points)))
    )
    arrives = nondominated_on_arrival(points, feasible)
    for number, point in enumerate(points):
        earlier = points[:number][feasible[:number]]
        assert arrives[number] == (feasible[number] and not (earlier <= point).all(axis=1).any())


@given(some_points)
def test_a_front_extended_point_by_point_is_that_of_all_points(points):
    front = np.empty((0, points.shape[1]))
    for point in points:
        front = extend_front(front, point)
    assert (np.diff(front[:, 0]) >= 0).all()
    assert np.array_equal(np.unique(front, axis=0), pareto_front(points))
    assert extend_front(front, points[0]) is front


@given(some_points)
def test_a_hypervolume_is_the_share_of_the_cells_that_points_dominate(points):
    share = volume_by_cells(points, 1.1) / 1.1 ** points.shape[1]
    assert hypervolume(points, 1.1) == pytest.approx(share)


def test_nothing_has_no_hypervolume():
    assert [hypervolume(np.empty((0, axes)), 1.1) for axes in (1, 2, 3)] == [0.0, 0.0, 0.0]


def test_fronts_and_areas_need_no_optuna():
    code = (
        "import sys, numpy as np\n"
        "from npu_tune.pareto import hypervolume_so_far\n"
        "hypervolume_so_far(np.eye(2), np.ones(2, dtype=bool), 1.1)\n"
        "sys.exit('optuna' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_points_are_compared_across_blocks():
    rng = np.random.default_rng(0)
    points = rng.random((1500, 2)).round(2)
    allowed = rng.random(1500) < 0.7
    wanted = [
        allowed[n] and not (points[:n][allowed[:n]] <= points[n]).all(axis=1).any()
        for n in range(1500)
    ]
    assert nondominated_on_arrival(points, allowed).tolist() == wanted


@given(some_points)
def test_a_front_holds_what_nothing_dominates_once_and_covers_the_rest(points):
    front = pareto_front(points)
    for point in front:
        assert (front <= point).all(axis=1).sum() == 1
    for point in points:
        assert (front <= point).all(axis=1).any()


def test_hypervolumes_are_shares_of_the_box_up_to_the_reference_point():
    ratios = np.array([[1.0, 1.0], [0.5, 1.2], [0.6, 0.6], [0.55, 1.0]])
    volumes = hypervolume_so_far(ratios, np.ones(4, dtype=bool), 1.1)
    # A point beyond the corner adds nothing; the last one adds a strip beside the front.
    parts = [0.1 * 0.1, 0.1 * 0.1, 0.5 * 0.5, 0.5 * 0.5 + 0.05 * 0.1]
    assert volumes.tolist() == pytest.approx([part / 1.1**2 for part in parts])


def test_infeasible_points_add_no_hypervolume():
    volumes = hypervolume_so_far(np.array([[0.5, 0.5]]), np.array([False]), 1.1)
    assert volumes.tolist() == [0.0]


@given(st.lists(st.tuples(*[st.floats(0.1, 1.3)] * 3), min_size=1, max_size=12))
def test_the_hypervolume_so_far_ends_at_that_of_all_points(points):
    ratios = np.array(points)
    volumes = hypervolume_so_far(ratios, np.ones(len(points), dtype=bool), 1.1)
    assert volumes[-1] == pytest.approx(hypervolume(pareto_front(ratios), 1.1))
    assert (np.diff(volumes) >= -1e-12).all()


@given(some_points)
def test_hypervolumes_are_those_that_optuna_finds(points):
    inside = points[(points < 1.1).all(axis=1)]
    reference = optuna_hypervolume(inside, np.full(points.shape[1], 1.1)) / 1.1 ** points.shape[1]
    assert hypervolume(points, 1.1) == pytest.approx(reference)


@given(sets(2), st.randoms(use_true_random=False))
def test_equal_fronts_of_two_metrics_have_equal_volumes_to_the_bit(points, random):
    mixed = np.array(random.sample(points.tolist(), len(points)))
    ends = [hypervolume_so_far(rows, all_of(rows), 1.1)[-1] for rows in (points, mixed)]
    assert ends[0] == ends[1] == hypervolume(pareto_front(points), 1.1)


def test_igd_plus_is_what_the_nearest_point_is_worse_by_in_the_mean_over_the_reference():
    reference = np.array([[1.0, 3.0], [3.0, 1.0]])
    # 0.5 worse in one metric, better in the other; then 3 and 4 worse: a distance of 5.
    assert igd_plus(np.array([[1.5, 2.0], [6.0, 5.0]]), reference) == pytest.approx(
        (0.5 + 1.0) / 2
    )
    assert igd_plus(np.array([[6.0, 5.0]]), np.array([[3.0, 1.0]])) == pytest.approx(5.0)


def test_there_is_no_distance_before_the_first_feasible_point():
    points = np.array([[0.1, np.nan], [1.0, 1.0], [0.0, 0.0]])
    allowed = np.array([False, True, False])
    assert igd_plus_so_far(points, allowed, np.array([[1.0, 0.5]])).tolist() == [np.inf, 0.5, 0.5]


@given(some_points)
def test_the_reference_itself_and_what_dominates_it_have_no_distance(points):
    assert igd_plus(points, pareto_front(points)) == 0.0
    assert igd_plus(points - 0.1, pareto_front(points)) == 0.0


@given(two_sets)
def test_the_distance_never_grows_when_points_are_added(sets_of_points):
    points, reference = sets_of_points
    distances = igd_plus_so_far(points, all_of(points), reference)
    assert (np.diff(distances) <= 0.0).all()
    for number in range(len(points)):
        assert distances[number] == igd_plus(points[: number + 1], reference)


@given(two_sets, st.randoms(use_true_random=False))
def test_the_order_of_points_and_of_the_reference_makes_no_difference(sets_of_points, random):
    points, reference = sets_of_points
    mixed = [random.sample(rows.tolist(), len(rows)) for rows in (points, reference)]
    assert igd_plus(*map(np.array, mixed)) == pytest.approx(igd_plus(points, reference))


@given(two_sets)
def test_a_set_that_is_worse_everywhere_is_farther_away(sets_of_points):
    points, reference = sets_of_points
    assert igd_plus(points + 0.1, reference) >= igd_plus(points, reference)
    # Beyond all of the reference, so that there is a distance that grows.
    assert igd_plus(points + 2.1, reference) > igd_plus(points + 2.0, reference)
