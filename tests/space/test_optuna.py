from __future__ import annotations

import optuna
import pytest
from hypothesis import given, settings
from optuna.distributions import CategoricalDistribution, IntDistribution
from spaces import spaces_with_configuration

from npu_tune.errors import StudyMismatchError
from npu_tune.space import Knob, SearchSpace, from_params, to_distributions, to_params

SPACE = SearchSpace(
    (
        Knob("network", "strategy", ("size", "speed"), default="speed"),
        Knob("conv", "block", (4, 8, 16), default=8, ordered=True),
        Knob("conv", "only", (7,), default=7, ordered=True),
    )
)


def test_ordered_knobs_are_indices_and_unordered_ones_categorical():
    assert to_distributions(SPACE) == {
        "network/strategy": CategoricalDistribution(("size", "speed")),
        "conv/block": IntDistribution(0, 2),
        "conv/only": IntDistribution(0, 0),
    }


@given(spaces_with_configuration())
def test_a_configuration_comes_back_from_its_parameters(case):
    space, configuration = case
    back = from_params(space, to_params(space, configuration))
    assert back == configuration
    assert [type(v) for _, v in back.items_] == [type(v) for _, v in configuration.items_]


@given(spaces_with_configuration())
@settings(max_examples=30)
def test_a_configuration_survives_the_text_in_which_storages_keep_it(case):
    space, configuration = case
    params = to_params(space, configuration)
    stored = {}
    for name, distribution in to_distributions(space).items():
        text = optuna.distributions.distribution_to_json(distribution)
        again = optuna.distributions.json_to_distribution(text)
        stored[name] = again.to_external_repr(distribution.to_internal_repr(params[name]))
    assert from_params(space, stored) == configuration


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"conv/block": 3}, "number 3"),
        ({"network/strategy": "fast"}, "'fast'"),
        ({"other/knob": 1}, "other/knob"),
    ],
)
def test_parameters_of_another_space_are_refused_by_name(change, named):
    params = to_params(SPACE, SPACE.default) | change
    with pytest.raises(StudyMismatchError, match=named):
        from_params(SPACE, params)


def test_a_missing_parameter_is_named():
    params = to_params(SPACE, SPACE.default)
    del params["conv/only"]
    with pytest.raises(StudyMismatchError, match="conv/only"):
        from_params(SPACE, params)
