from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, IntDistribution

from npu_tune.samplers.layers import LayeredSpace
from npu_tune.samplers.profile.sweeps import apply_sweep, sweeps_of

SPACE = LayeredSpace.of(
    {
        "a/chain": CategoricalDistribution((False, True)),
        "a/block": IntDistribution(0, 90),
        "b/chain": CategoricalDistribution((True, False)),
        "b/block": IntDistribution(0, 9),
        "c/only": IntDistribution(3, 3),
        "network/order": CategoricalDistribution(("x", "y", "z")),
    },
    None,
)
START = tuple(tuple(0 for _ in layer) for layer in SPACE.layers)


def values(point):
    """What every parameter has in a point, by its name."""
    return {
        parameter.name: parameter.value_of(index)
        for parameters, choice in zip(SPACE.layers, point, strict=True)
        for parameter, index in zip(parameters, choice, strict=True)
    }


def test_a_sweep_gives_every_layer_the_same_value_wherever_it_stands_among_its_choices():
    points = [values(apply_sweep(START, sweep)) for sweep in sweeps_of(SPACE, 4)]
    assert {(p["a/chain"], p["b/chain"]) for p in points[:2]} == {(False, False), (True, True)}


def test_long_ranges_are_swept_at_four_places_and_a_layer_with_fewer_values_at_the_same_ones():
    blocks = [values(apply_sweep(START, sweep)) for sweep in sweeps_of(SPACE, 4)[2:]]
    assert [(p["a/block"], p["b/block"]) for p in blocks] == [(0, 0), (30, 3), (60, 6), (90, 9)]


def test_parameters_with_few_values_come_first():
    def size(sweep):
        return min(SPACE.layers[layer][at].size for layer, at in sweep)

    sizes = [size(sweep) for sweep in sweeps_of(SPACE, 4)]
    assert sizes == sorted(sizes)


def test_neither_the_network_nor_what_cannot_change_is_swept():
    for sweep in sweeps_of(SPACE, 4):
        after = values(apply_sweep(START, sweep))
        assert (after["network/order"], after["c/only"]) == ("x", 3)


@given(st.data())
def test_a_sweep_changes_nothing_but_its_own_parameter(data):
    start = tuple(
        tuple(data.draw(st.integers(0, p.size - 1)) for p in layer) for layer in SPACE.layers
    )
    for sweep in sweeps_of(SPACE, 4):
        changed = {
            parameter.short_name
            for parameters, old, new in zip(
                SPACE.layers, start, apply_sweep(start, sweep), strict=True
            )
            for parameter, a, b in zip(parameters, old, new, strict=True)
            if a != b
        }
        assert len(changed) <= 1
