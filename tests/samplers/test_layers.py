from __future__ import annotations

import pytest
from optuna.distributions import CategoricalDistribution, IntDistribution
from our_samplers import SAMPLERS

from npu_tune._optuna_compat import SearchStudy
from npu_tune.samplers.layers import NO_LAYER, LayeredSpace, is_reserved, layer_of
from npu_tune.samplers.profile.sweeps import sweeps_of

DISTRIBUTIONS = {
    "conv/x": IntDistribution(0, 3),
    "network#2/x": IntDistribution(0, 3),
    "network/order": CategoricalDistribution(("file", "size")),
    "flat": IntDistribution(0, 2),
}


def test_a_layer_is_what_precedes_the_last_slash():
    assert layer_of("block/conv/x") == "block/conv"
    assert layer_of("network/order") == "network"
    assert layer_of("flat") == NO_LAYER


def test_parameters_without_a_layer_are_not_those_of_the_network_nor_of_a_layer():
    space = LayeredSpace.of(DISTRIBUTIONS, None)
    assert space.names == (NO_LAYER, "network", "conv", "network#2")
    assert [is_reserved(name) for name in space.names] == [True, True, False, False]
    names = [space.layers[layer][place].name for layer, place in space.network_wide]
    assert names == ["flat", "network/order"]


def test_an_order_puts_its_layers_first_and_may_name_the_network():
    space = LayeredSpace.of(DISTRIBUTIONS, ["network#2", "network"])
    assert space.names == ("network#2", "network", "conv", NO_LAYER)


def test_only_layers_are_swept():
    space = LayeredSpace.of(DISTRIBUTIONS, None)
    swept = {space.names[layer] for sweep in sweeps_of(space, 4) for layer, _ in sweep}
    assert swept == {"conv", "network#2"}


@pytest.mark.parametrize("make", SAMPLERS.values(), ids=SAMPLERS)
def test_every_sampler_searches_layers_network_wide_and_other_parameters(make):
    study = SearchStudy(make(seed=0), ["minimize"], DISTRIBUTIONS)
    for _ in range(60):
        trial = study.ask()
        p = trial.params
        rows = {
            "conv": {"cycles": 1.0 + p["conv/x"]},
            "network#2": {"cycles": 4.0 - p["network#2/x"]},
        }
        total = sum(row["cycles"] for row in rows.values())
        value = total * (1 + (p["network/order"] == "file")) + p["flat"]
        study.tell(trial, [value], user_attrs={"profile": rows})
    assert min(trial.values[0] for trial in study.study.trials) == 2.0
