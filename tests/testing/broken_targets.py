"""Targets with one fault each, and the tests of the suite that are to find it.

``test_suite.py`` runs the suite on all of them in a process of its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from fake_targets import LayeredTarget, WrappedProblem, WrappedTarget, fake_network
from pydantic import ConfigDict

from npu_tune.errors import CompilerError
from npu_tune.space import Knob, SearchSpace
from npu_tune.targets import Identity, Kind, MemoryBuffer, MemoryTimeline, ProfileSchema, Start
from npu_tune.testing.suite import TargetSuite
from npu_tune.validation import Table

FAULTS: dict[str, tuple[str, ...]] = {}
"""Names of the tests that are to fail, by the target's name."""


def caught_by(*tests: str) -> Callable[[type], type]:
    """Makes tests of a target that are expected to fail."""

    def suite(kind: type) -> type:
        FAULTS[kind.__name__] = tuple(f"test_{test}" for test in tests)
        globals()[f"Test{kind.__name__}"] = type(
            f"Test{kind.__name__}", (Suite,), {"kind": kind, "__module__": __name__}
        )
        return kind

    return suite


class Suite(TargetSuite):
    configurations = 4
    kind: Any = LayeredTarget

    @pytest.fixture
    def target(self):
        return self.kind()

    @pytest.fixture
    def network(self):
        return fake_network(3)

    @pytest.fixture
    def other_network(self):
        return fake_network(4, content=b"other")

    @pytest.fixture
    def other_target(self, target):
        is_layered = isinstance(target, LayeredTarget)
        return replace(target, layer_cycles=2000.0) if is_layered else LayeredTarget()


@caught_by()
class Sound(LayeredTarget):
    pass


@caught_by("the_target_has_a_name_without_spaces")
class Spaced(LayeredTarget):
    name = "fake npu"


@caught_by("metric_names_are_unique_and_may_stand_in_a_limit")
class Twice(LayeredTarget):
    metrics = (*LayeredTarget.metrics, LayeredTarget.metrics[0])


@caught_by("every_metric_has_a_kind_and_the_unit_that_its_name_says")
class Misnamed(LayeredTarget):
    metrics = (LayeredTarget.metrics[0], replace(LayeredTarget.metrics[1], unit="KiB"))
    metrics = (*metrics, *LayeredTarget.metrics[2:])


@caught_by("metrics_expect_no_spread_where_evaluations_repeat")
class Spread(LayeredTarget):
    metrics = tuple(replace(metric, spread=0.1) for metric in LayeredTarget.metrics)


@caught_by("the_default_objective_is_of_one_kind")
class Mixed(LayeredTarget):
    metrics = (
        replace(LayeredTarget.metrics[0], kind=Kind.MEASURED),
        *LayeredTarget.metrics[1:],
    )


@caught_by("the_fingerprint_is_text")
class Numbered(LayeredTarget):
    def fingerprint(self):
        return {**super().fingerprint(), "version": 1}


@caught_by("the_target_is_the_same_in_another_process")
class Homesick(LayeredTarget):
    def fingerprint(self):
        return {**super().fingerprint(), "process": str(os.getpid())}


@caught_by("the_target_survives_pickling")
class Unequal(LayeredTarget):
    __hash__ = object.__hash__

    def __eq__(self, other):
        return self is other


@caught_by("the_target_survives_pickling", "the_target_is_the_same_in_another_process")
@dataclass(frozen=True)
class Rooted(LayeredTarget):
    compile: Any = field(default_factory=lambda: lambda: None)

    def fingerprint(self):
        return {"version": "1", "layer_cycles": str(self.layer_cycles)}


@caught_by("another_target_has_other_keys")
class Forgetful(LayeredTarget):
    def fingerprint(self):
        return {"version": "1"}


@caught_by("a_network_that_is_not_fit_is_refused")
class Careless(LayeredTarget):
    pass


class TestCareless(Suite):
    kind = Careless

    @pytest.fixture
    def unfit_network(self):
        return fake_network(1)


@caught_by("the_default_is_legal_and_its_own_effective_one")
@dataclass(frozen=True)
class Strict(LayeredTarget):
    def space(self, network):
        return replace(
            super().space(network), check=replace(self, forbidden_block=8)._check_blocks
        )


@caught_by("an_effective_configuration_evaluates_to_the_same")
class Hasty(LayeredTarget):
    def space(self, network):
        return replace(super().space(network), effective=lambda c: c.replace({"layer0/block": 8}))


@caught_by(
    "an_effective_configuration_is_its_own_effective_one",
    "configurations_share_a_key_just_where_they_share_the_effective_one",
    "an_effective_configuration_evaluates_to_the_same",
)
class Restless(LayeredTarget):
    def space(self, network):
        def flipped(configuration):
            if configuration == space.default:
                return configuration
            other = {"depth": "part", "part": "depth"}[configuration["layer0/traversal"]]
            return configuration.replace({"layer0/traversal": other})

        space = replace(super().space(network), effective=flipped)
        return space


@caught_by("configurations_come_back_from_optuna_ray_tune_and_json")
class Nested(LayeredTarget):
    def space(self, network):
        space = super().space(network)
        pairs = Knob("layer0", "tile", ((1, 1), (2, 2)), (1, 1))
        return replace(space, knobs=(*space.knobs, pairs))


class TolerantSpace(SearchSpace):
    def configuration(self, values):
        return self.default.replace({k: v for k, v in values.items() if k in self.default})


@caught_by("an_unknown_knob_is_illegal", "a_value_that_is_not_offered_is_illegal")
class Tolerant(LayeredTarget):
    def space(self, network):
        space = super().space(network)
        return TolerantSpace(space.knobs, space.effective, space.check)


@caught_by("what_the_rules_forbid_is_illegal")
class Lawless(LayeredTarget):
    pass


class TestLawless(Suite):
    kind = Lawless
    illegal = ({"layer0/block": 16},)


@caught_by("the_metrics_reported_are_those_declared_and_finite")
class Talkative(LayeredTarget):
    def evaluate(self, network, configuration):
        found = super().evaluate(network, configuration)
        return replace(found, metrics={**found.metrics, "more": 1.0})


@caught_by("the_metrics_reported_are_those_declared_and_finite")
class Infinite(LayeredTarget):
    def evaluate(self, network, configuration):
        found = super().evaluate(network, configuration)
        return replace(found, metrics={**found.metrics, "share": float("inf")})


@caught_by("a_build_reports_what_an_evaluation_does")
class Optimistic(LayeredTarget):
    def build(self, network, configuration, folder):
        built = super().build(network, configuration, folder)
        return replace(built, evaluation=self.evaluate(network, self.space(network).default))


@caught_by("a_build_reports_what_an_evaluation_does")
class Absent(LayeredTarget):
    def build(self, network, configuration, folder):
        built = super().build(network, configuration, folder)
        return replace(built, files={"model": Path(folder) / "elsewhere.bin"})


@caught_by("a_profile_has_a_row_for_every_layer_that_has_knobs")
class Incomplete(LayeredTarget):
    def evaluate(self, network, configuration):
        found = super().evaluate(network, configuration)
        return replace(found, profile={k: v for k, v in found.profile.items() if k != "layer0"})


@caught_by("a_profile_names_no_other_layers_than_those_of_network_and_space")
class Inventive(LayeredTarget):
    def evaluate(self, network, configuration):
        found = super().evaluate(network, configuration)
        return replace(found, profile={**found.profile, "more": {"cycles": 1.0}})


@caught_by("every_row_of_a_profile_says_what_the_layer_costs")
class Free(LayeredTarget):
    def evaluate(self, network, configuration):
        found = super().evaluate(network, configuration)
        rows = {layer: {"sram_bytes": r["sram_bytes"]} for layer, r in found.profile.items()}
        return replace(found, profile=rows)


@caught_by("starts_are_legal_and_have_labels_of_their_own")
class Repetitive(LayeredTarget):
    def starts(self, network):
        return (Start("a", self.space(network).default),) * 2


@caught_by("references_are_in_metrics_that_are_known")
class Foreign(LayeredTarget):
    def references(self, network):
        return {"rival": {"seconds": 1.0}}


@caught_by("the_causes_that_bound_layers_are_columns_of_the_profile")
class Unfounded(LayeredTarget):
    profile = ProfileSchema(causes={"flash_cycles": "flash"})


@caught_by()
class Telling(LayeredTarget):
    """Says what lies in memory: the map of each layer until the next one has read it."""

    def memory_timeline(self, network, configuration):
        self.evaluate(network, configuration)  # refuses what cannot be compiled
        names = tuple(layer.name for layer in network.layers)
        last = len(names) - 1
        buffers = tuple(
            MemoryBuffer(f"map {i}", name, "SRAM", 64 * (i % 2), 64, i, min(i + 1, last))
            for i, name in enumerate(names)
        )
        return MemoryTimeline(names, buffers, {"SRAM": 128})


@caught_by("buffers_lie_within_the_steps_and_their_pools_and_never_overlap")
class Crowded(Telling):
    def memory_timeline(self, network, configuration):
        found = super().memory_timeline(network, configuration)
        return replace(found, buffers=tuple(replace(b, address=32) for b in found.buffers))


@caught_by("buffers_lie_within_the_steps_and_their_pools_and_never_overlap")
class Endless(Telling):
    def memory_timeline(self, network, configuration):
        found = super().memory_timeline(network, configuration)
        return replace(found, steps=found.steps[:1])


@caught_by("buffers_name_layers_of_the_profile")
class Confused(Telling):
    def memory_timeline(self, network, configuration):
        found = super().memory_timeline(network, configuration)
        return replace(found, buffers=tuple(replace(b, layer=b.name) for b in found.buffers))


@caught_by("what_cannot_be_compiled_has_no_timeline_and_the_same_has_the_same")
class Forgiving(Telling):
    def evaluate(self, network, configuration):
        if configuration != self.space(network).default:
            raise CompilerError("Nothing but the default compiles.")
        return super().evaluate(network, configuration)

    def memory_timeline(self, network, configuration):
        return super().memory_timeline(network, self.space(network).default)


@dataclass(frozen=True)
class Wrapping(WrappedTarget):
    problem = WrappedProblem

    def bind(self, network):
        return self.problem(self, self.inner.bind(network))


class FreshSpace(WrappedProblem):
    @property
    def space(self):
        return SearchSpace(self.inner.space.knobs, self.inner.space.effective)


@caught_by("the_space_is_the_same_every_time")
class Fresh(Wrapping):
    problem = FreshSpace


class ClosedOnce(WrappedProblem):
    closed = False

    def close(self):
        if self.closed:
            raise RuntimeError("closed already")
        self.closed = True


@caught_by("a_problem_is_closed_twice_and_bound_again")
class Fragile(Wrapping):
    problem = ClosedOnce


class SharedState(WrappedProblem):
    latest: ClassVar = [0]

    def evaluate(self, configuration):
        found = super().evaluate(configuration)
        before, self.latest[0] = self.latest[0], len(self.network.layers)
        # What a problem with more layers has left behind shows.
        is_dirty = before > self.latest[0]
        return replace(found, metrics={**found.metrics, "share": 1.0}) if is_dirty else found


@caught_by("problems_that_are_open_together_do_not_disturb_each_other")
class Sociable(Wrapping):
    problem = SharedState


class Wearing(WrappedProblem):
    def __init__(self, target, inner):
        super().__init__(target, inner)
        self.seen = set()

    def evaluate(self, configuration):
        found = super().evaluate(configuration)
        is_worn = configuration in self.seen
        self.seen.add(configuration)
        return replace(found, metrics={**found.metrics, "share": 1.0}) if is_worn else found


@caught_by(
    "an_evaluation_repeats_whatever_was_evaluated_in_between",
    "a_build_reports_what_an_evaluation_does",
    "an_effective_configuration_evaluates_to_the_same",
    "problems_that_are_open_together_do_not_disturb_each_other",
)
class Worn(Wrapping):
    problem = Wearing


class Skimping(WrappedProblem):
    @property
    def metrics(self):
        return tuple(replace(m, on_request=m.name == "share") for m in super().metrics)

    def evaluate_some(self, configuration, metrics):
        found = self.evaluate(configuration)
        return replace(found, metrics={n: v for n, v in found.metrics.items() if n != "share"})


@caught_by("what_an_evaluation_of_some_metrics_reports_is_what_a_whole_one_does")
class Deaf(Wrapping):
    problem = Skimping


class Anonymous(WrappedProblem):
    @property
    def identity(self):
        return Identity("", self.target.name, self.target.fingerprint())


@caught_by("another_network_has_other_keys")
class Nameless(Wrapping):
    problem = Anonymous


class TestNameless(Suite):
    kind = Nameless

    @pytest.fixture
    def other_network(self):
        return fake_network(3, content=b"other")


class Grouped(WrappedProblem):
    profile = ProfileSchema()

    def __init__(self, target, inner):
        super().__init__(target, inner)
        self.profile = ProfileSchema(group="group")

    def evaluate(self, configuration):
        found = super().evaluate(configuration)
        rows = {k: {**v, "group": i % 2} for i, (k, v) in enumerate(found.profile.items())}
        return replace(found, profile=rows)


@caught_by("layers_that_run_as_one_stand_together_in_a_profile")
class Scattered(Wrapping):
    problem = Grouped


@caught_by("an_unknown_option_is_refused")
class Lenient(LayeredTarget):
    name = "lenient"


class LenientOptions(Table):
    model_config = ConfigDict(extra="allow")


class LenientFamily:
    """Takes any option."""

    options = LenientOptions

    def names(self):
        return ("lenient",)

    def describe(self, name):
        return name

    def make(self, name, options):
        return Lenient()
