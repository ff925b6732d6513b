from __future__ import annotations

import pytest

from npu_tune.errors import IllegalConfigurationError
from npu_tune.space import Knob, SearchSpace
from npu_tune.targets import Identity
from npu_tune.tuning.objective import Objective
from npu_tune.tuning.warm.matching import Match
from npu_tune.tuning.warm.source import WarmSource, WarmTrial
from npu_tune.tuning.warm.traits import LayerTraits
from npu_tune.tuning.warm.transfer import TransferSettings, WarmStart, transfers

BOTH = Objective(weights={"time": 0.5, "memory": 0.5}, directions={}, limits={})


def space(*, check=lambda _: None):
    knobs = [
        Knob(layer, name, values, values[0])
        for layer in ("first", "second")
        for name, values in (("tile", (1, 2, 4)), ("place", ("ram", "flash")))
    ]
    return SearchSpace((Knob("network", "order", ("file", "memory"), "file"), *knobs), check=check)


def known(changes, time, memory, *, is_planned=False):
    metrics = {"time": time, "memory": memory}
    return WarmTrial(changes, metrics, {}, is_planned=is_planned)


def source(*trials):
    default = {"network/order": "file"} | {
        f"{layer}/{name}": value
        for layer in ("a", "b")
        for name, value in (("tile", 1), ("place", "ram"), ("gone", 0))
    }
    baseline = WarmTrial(
        {}, {"time": 10.0, "memory": 10.0}, {"a": {"cycles": 9.0}, "b": {"cycles": 1.0}}
    )
    traits = {name: LayerTraits("convolution", (), (), 0.0) for name in ("a", "b")}
    identity = Identity("0" * 64, "npu", {})
    return WarmSource(
        "old", identity, "net", traits, default, baseline, [baseline, *trials], "cycles"
    )


MATCH = Match({"first": "a", "second": "b"}, 0, 2)


def made(*trials, same=False, objective=BOTH, **more):
    return transfers(source(*trials), MATCH, space(**more), objective, same_network=same)


def test_changes_are_carried_over_as_far_as_there_are_such_values():
    changes = {
        "a/tile": 4,
        "b/tile": 3,
        "b/place": "flash",
        "a/gone": 1,
        "network/order": "memory",
    }
    best = made(known(changes, 5.0, 5.0))[0]

    # A default there is one here too, upon whatever is the best.
    taken = {"network/order": "memory", "first/tile": 4, "second/place": "flash"}
    assert best.changes == taken
    assert best.label == "what the best has beyond plans, upon the best here, of old"


def test_what_another_network_has_goes_upon_the_best_here_and_never_upon_the_default():
    assert all(each.upon_best for each in made(known({"a/tile": 4, "b/tile": 2}, 5.0, 5.0)))
    assert not made(known({"a/tile": 4}, 5.0, 5.0), same=True)[0].upon_best


def test_what_was_found_beyond_a_plan_comes_first_and_goes_upon_the_best_here():
    plan = known({"a/tile": 2, "b/tile": 4}, 6.0, 6.0, is_planned=True)
    start = made(plan, known({"b/tile": 4, "b/place": "flash"}, 5.0, 5.0))[0]

    assert start.upon_best
    assert start.changes == {"first/tile": 1, "second/place": "flash"}
    best = space().configuration({"first/tile": 2, "second/tile": 2})
    assert start.placed(space(), best).difference(space().default) == {
        "second/tile": 2,
        "second/place": "flash",
    }


def test_trials_are_weighed_by_the_new_objective():
    fast, small = known({"a/tile": 2}, 1.0, 10.0), known({"a/tile": 4}, 10.0, 4.0)
    for weights, value in (({"time": 1.0}, 2), ({"memory": 1.0}, 4)):
        starts = made(fast, small, objective=Objective(weights=weights, directions={}, limits={}))
        assert starts[0].changes["first/tile"] == value


def test_more_is_better_where_the_objective_says_so():
    much, little = known({"a/tile": 2}, 9.0, 1.0), known({"a/tile": 4}, 2.0, 1.0)
    goal = Objective(weights={"time": 1.0}, directions={"time": "maximize"}, limits={})

    assert made(much, little, objective=goal)[0].changes == {"first/tile": 2}


def test_limits_count_where_the_network_is_the_same():
    cheap, allowed = known({"a/tile": 2}, 1.0, 9.0), known({"a/tile": 4}, 8.0, 3.0)
    limited = Objective(weights={"time": 1.0}, directions={}, limits={"memory": 5.0})
    firsts = [made(cheap, allowed, objective=limited, same=same)[0] for same in (True, False)]

    assert [each.changes["first/tile"] for each in firsts] == [4, 2]


def test_what_is_illegal_in_its_company_is_left_out_layer_by_layer():
    def check(configuration):
        if configuration["first/tile"] == configuration["second/tile"] == 4:
            raise IllegalConfigurationError("No.")

    changes = {"a/tile": 4, "b/tile": 4}
    starts = made(known(changes, 5.0, 5.0), check=check)

    assert all(each.changes == {"first/tile": 4} for each in starts)


def test_costly_layers_are_tried_alone():
    starts = made(known({"a/tile": 4, "b/tile": 4}, 5.0, 5.0))

    assert (
        WarmStart("costly layers of the best, upon the best here, of old", {"first/tile": 4}, True)
        in starts
    )


def test_starts_are_few_and_each_is_there_once():
    trials = [known({"a/tile": 4, "b/tile": n}, 5.0 + n, 5.0) for n in (2, 4)] * 9
    starts = transfers(
        source(*trials), MATCH, space(), BOTH, same_network=True, settings=TransferSettings(most=5)
    )
    assert len({(str(each.changes), each.upon_best) for each in starts}) == len(starts) <= 5


@pytest.mark.parametrize("metrics", [{"time": 3.0}, {}])
def test_a_source_without_the_metrics_gives_nothing(metrics):
    assert made(WarmTrial({"a/tile": 4}, metrics, {})) == []
