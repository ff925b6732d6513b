from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from spaces import spaces

from npu_tune.errors import StudyMismatchError, UsageError
from npu_tune.space import (
    Knob,
    SearchSpace,
    from_ray_config,
    to_distributions,
    to_param_space,
    to_ray_config,
)

SPACE = SearchSpace(
    (
        Knob("network", "strategy", ("size", "speed"), default="speed"),
        Knob("block/conv", "ofm_block", (4, 8, 16), default=8, ordered=True),
    )
)


def _sample(domains):
    return {
        key: _sample(domain) if isinstance(domain, dict) else domain.sample()
        for key, domain in domains.items()
    }


def test_importing_the_space_does_not_import_ray():
    code = "import sys, npu_tune.space; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@given(spaces())
@settings(max_examples=30, deadline=None)
def test_every_sample_of_ray_is_a_configuration_of_the_space(space):
    configuration = from_ray_config(space, _sample(to_param_space(space)))
    assert [name for name, _ in configuration.items_] == list(space.by_name)
    assert all(configuration[k.full_name] in k.values for k in space.knobs)


def test_flat_and_nested_samples_are_the_same_configuration():
    nested = {"network": {"strategy": "size"}, "block": {"conv": {"ofm_block": 2}}}
    flat = {"network/strategy": "size", "block/conv/ofm_block": 2}
    assert from_ray_config(SPACE, nested) == from_ray_config(SPACE, flat)
    assert from_ray_config(SPACE, flat)["block/conv/ofm_block"] == 16


def test_keys_that_ray_adds_are_no_knobs():
    sample = {"network/strategy": "size", "block/conv/ofm_block": 2}
    added = {"__trial_index__": 3, "__more__": {"deep": {"er": 1}}}
    assert from_ray_config(SPACE, sample | added) == from_ray_config(SPACE, sample)


def test_a_flat_key_without_a_layer_is_somebody_elses():
    sample = {"network/strategy": "size", "block/conv/ofm_block": 2}
    assert from_ray_config(SPACE, sample | {"seed": 3, "target": "x"}) == from_ray_config(
        SPACE, sample
    )


@pytest.mark.parametrize("name", ["network/strategies", "__half/strategy", "____/strategy"])
def test_a_name_with_a_layer_that_is_no_knob_is_refused(name):
    with pytest.raises(StudyMismatchError, match=f"no knob '{name}'"):
        from_ray_config(SPACE, {"network/strategy": "size", name: "size"})


def test_a_misspelt_knob_is_answered_with_the_closest_one():
    with pytest.raises(StudyMismatchError, match="'network/stratgy'") as caught:
        from_ray_config(SPACE, {"network": {"stratgy": "size"}})
    assert "Did you mean 'network/strategy'?" in caught.value.remedy


def test_a_layer_between_double_underscores_keeps_its_knobs():
    space = SearchSpace((Knob("__main__", "k", (1, 2), default=1),))
    assert from_ray_config(space, {"__main__": {"k": 2}, "__trial_index__": 0})["__main__/k"] == 2


def test_optuna_search_sees_the_names_and_ranges_of_a_study():
    from ray.tune.search.optuna import OptunaSearch

    search = OptunaSearch.convert_search_space(to_param_space(SPACE))
    assert search == to_distributions(SPACE)


def test_missing_knobs_stand_at_their_defaults():
    configuration = from_ray_config(SPACE, {"network": {"strategy": "size"}})
    assert configuration == SPACE.configuration({"network/strategy": "size"})


def test_a_value_that_a_knob_has_not_is_refused():
    with pytest.raises(StudyMismatchError, match="no value 'sise'"):
        from_ray_config(SPACE, {"network": {"strategy": "sise"}})


@pytest.mark.parametrize("config", [{}, {"seed": 1}, {"__trial_index__": 0}])
def test_a_config_without_a_knob_says_where_a_space_is_given(config):
    with pytest.raises(UsageError, match="chooses no knob") as caught:
        from_ray_config(SPACE, config)
    assert "param_space=param_space(" in caught.value.remedy
    assert "search_alg=search_algorithm(" in caught.value.remedy


@given(spaces())
@settings(max_examples=30, deadline=None)
def test_a_configuration_goes_to_ray_and_comes_back(space):
    nested = to_ray_config(space, space.default)
    assert from_ray_config(space, nested) == space.default


def test_a_knob_named_like_a_scope_of_another_is_refused():
    clash = (Knob("a", "b", (1, 2), default=1), Knob("a/b", "c", (1, 2), default=1))
    for knobs in (clash, clash[::-1]):
        with pytest.raises(UsageError, match="begins alike"):
            to_param_space(SearchSpace(knobs))
