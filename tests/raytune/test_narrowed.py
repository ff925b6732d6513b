from __future__ import annotations

import pytest
from optuna.distributions import CategoricalDistribution, IntDistribution
from ray import tune

from npu_tune.errors import StudyMismatchError, UsageError
from npu_tune.raytune.narrowed import narrowed
from npu_tune.space import Knob, SearchSpace, to_distributions, to_param_space

SPACE = SearchSpace(
    (
        Knob("network", "strategy", ("size", "speed", "both"), default="speed"),
        Knob("conv", "block", (4, 8, 16), default=8, ordered=True),
    )
)


def test_the_whole_space_leaves_everything_to_choose():
    assert narrowed(SPACE, to_param_space(SPACE)) == to_distributions(SPACE)


@pytest.mark.parametrize("param_space", [{}, {"seed": 3}, {"target": "ethos-u55-128"}])
def test_what_names_no_knob_narrows_nothing(param_space):
    assert narrowed(SPACE, param_space) is None


def test_a_domain_is_searched_and_what_is_not_named_stands_at_its_default():
    assert narrowed(SPACE, {"network": {"strategy": tune.choice(["size", "speed"])}}) == {
        "network/strategy": CategoricalDistribution(["size", "speed"]),
        "conv/block": IntDistribution(1, 1),
    }


def test_a_value_is_fixed():
    assert narrowed(
        SPACE, {"network/strategy": "both", "conv": {"block": tune.randint(1, 3)}}
    ) == {
        "network/strategy": CategoricalDistribution(["both"]),
        "conv/block": IntDistribution(1, 2),
    }


def test_numbers_of_an_ordered_knobs_values_may_be_picked():
    found = narrowed(SPACE, {"conv": {"block": tune.choice([0, 2])}})
    assert found["conv/block"] == CategoricalDistribution([0, 2])


@pytest.mark.parametrize(
    ("param_space", "words"),
    [
        ({"network": {"strategy": tune.grid_search(["size"])}}, "a grid at 'network/strategy'"),
        ({"width": tune.choice([1, 2])}, "leaves 'width' to choose, which is no knob"),
        ({"network": {"strategy": "sise"}}, "'network/strategy' CategoricalD.*one of .'size'"),
        ({"network": {"strategy": tune.choice(["size", "x"])}}, "one of .'size'"),
        ({"conv": {"block": tune.randint(0, 4)}}, "number from 0 to 2.*one of .4, 8, 16"),
        ({"conv": {"block": tune.uniform(0, 2)}}, "number from 0 to 2"),
        ({"conv": {"block": tune.randn()}}, "cannot be searched"),
    ],
)
def test_a_choice_that_a_searcher_cannot_make_is_refused(param_space, words):
    with pytest.raises(UsageError, match=words):
        narrowed(SPACE, param_space)


def test_a_misspelt_knob_is_answered_with_the_closest_one():
    with pytest.raises(StudyMismatchError, match=r"Did you mean 'conv/block'\?"):
        narrowed(SPACE, {"conv": {"blocks": tune.randint(0, 2)}})
