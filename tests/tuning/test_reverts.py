from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from fake_targets import LayeredTarget, fake_network
from hypothesis import given, settings
from hypothesis import strategies as st

from npu_tune.errors import IllegalConfigurationError
from npu_tune.space import Configuration, Knob, SearchSpace
from npu_tune.tuning.reverts import ask_reverts


@dataclass(frozen=True)
class Costs:
    """Made-up costs: of single choices, of which many do nothing, and of pairs."""

    layers: int
    seed: int

    @cached_property
    def space(self) -> SearchSpace:
        return SearchSpace(
            tuple(
                Knob(f"layer{layer}", knob, (0, 1, 2), 0)
                for layer in range(self.layers)
                for knob in ("block", "format")
            )
        )

    @cached_property
    def _tables(self):
        random = np.random.default_rng(self.seed)
        count = len(self.space.knobs)
        single = random.integers(-2, 2, (count, 3)) * random.integers(0, 2, (count, 1))
        pairs = random.integers(-1, 2, (count, count)) * (random.random((count, count)) < 0.1)
        return single, pairs

    def cost(self, configuration: Configuration) -> float:
        single, pairs = self._tables
        values = np.array([value for _, value in configuration.items_])
        single = single - single[:, :1]
        changed = values != 0
        return float(single[np.arange(len(values)), values].sum() + changed @ pairs @ changed)

    def start(self) -> Configuration:
        random = np.random.default_rng(self.seed + 1)
        return self.space.configuration(
            {knob.full_name: int(random.integers(3)) for knob in self.space.knobs}
        )


def polished(start, space, cost):
    """What is left, and how many questions that took."""
    asking, least, asked = ask_reverts(start, space), cost(start), set()
    try:
        revert = next(asking)
        while True:
            asked.add(revert.configuration)
            is_free = cost(revert.configuration) <= least
            least = min(least, cost(revert.configuration))
            revert = asking.send(is_free)
    except StopIteration as end:
        return end.value, len(asked)


def single_reverts(configuration, space):
    for name in configuration.difference(space.default):
        yield space.effective(configuration.replace({name: space.default[name]}))


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 12), st.integers(0, 10_000))
def test_what_is_left_costs_no_more_and_has_no_change_that_is_free_to_take_back(layers, seed):
    costs = Costs(layers, seed)
    start, space = costs.start(), costs.space

    left, asked = polished(start, space, costs.cost)

    assert costs.cost(left) <= costs.cost(start)
    assert left.difference(space.default).items() <= start.difference(space.default).items()
    for revert in single_reverts(left, space):
        assert costs.cost(revert) > costs.cost(left)
    assert asked <= 6 * len(start.difference(space.default)) + 6


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_what_has_no_effect_goes_with_what_gave_it_one(data):
    problem = LayeredTarget().bind(fake_network(4))
    space = problem.space
    drawn = {knob.full_name: data.draw(st.sampled_from(knob.values)) for knob in space.knobs}

    def cost(configuration):
        metrics = problem.evaluate(configuration).metrics
        return metrics["cycles"] + metrics["sram_bytes"]

    start = space.effective(space.configuration(drawn))
    left, _ = polished(start, space, cost)

    assert left == space.effective(left)
    assert cost(left) <= cost(start)
    assert all(cost(revert) > cost(left) for revert in single_reverts(left, space))


def test_changes_that_all_do_nothing_go_within_a_few_questions():
    costs = Costs(30, 0)

    left, asked = polished(costs.start(), costs.space, lambda _: 1.0)

    assert left == costs.space.default
    assert asked <= 4


def test_a_run_of_useless_changes_among_useful_ones_is_found_in_few_questions():
    space = SearchSpace(tuple(Knob(f"layer{n}", "block", (0, 1), 0) for n in range(64)))
    start = space.configuration({knob.full_name: 1 for knob in space.knobs})
    useful = {f"layer{n}/block" for n in range(60, 64)}

    def cost(configuration):
        return sum(configuration[name] == 0 for name in useful)

    left, asked = polished(start, space, cost)

    assert set(left.difference(space.default)) == useful
    assert asked < 25


def test_what_the_rules_forbid_is_not_asked():
    def check(configuration):
        if configuration["a/block"] != configuration["b/block"]:
            raise IllegalConfigurationError("They must be alike.")

    space = SearchSpace(
        (Knob("a", "block", (0, 1), 0), Knob("b", "block", (0, 1), 0)), check=check
    )
    start = space.configuration({"a/block": 1, "b/block": 1})

    assert polished(start, space, lambda _: 1.0) == (space.default, 1)
    asking = ask_reverts(start, space)
    assert next(asking).label == "all 2 changes of block"
