from __future__ import annotations

import itertools

import numpy as np
import pytest

from npu_tune.errors import IllegalConfigurationError
from npu_tune.space import Knob, SearchSpace
from npu_tune.targets import ProfileSchema
from npu_tune.tuning.trial import TrialRecord
from npu_tune.tuning.warm.lessons import Lesson, LessonTable
from npu_tune.tuning.warm.trying import Trying, TryingSettings, tries

LAYERS = tuple("abcdefgh")
SCHEMA = ProfileSchema(cost="cycles", unit="cycles")


def space(check=lambda _: None):
    knobs = [Knob("network", "order", ("file", "memory"), "file")]
    for layer in LAYERS:
        knobs += [Knob(layer, "tile", (0, 1, 2, 3), 0), Knob(layer, "flash", (False, True), False)]
    return SearchSpace(tuple(knobs), check=check)


class Machine:
    """Evaluates: every layer has a tile and a place that suit it best; what is in flash is slower
    there, and takes no memory."""

    def __init__(self, seed=0, check=lambda _: None):
        random = np.random.default_rng(seed)
        self.space = space(check)
        self.tables = random.uniform(50.0, 100.0, (len(LAYERS), 4))
        self.slower = random.uniform(-20.0, 20.0, len(LAYERS))
        self.trials = []

    def rows(self, configuration):
        return {
            layer: {
                "cycles": float(
                    self.tables[at, configuration[f"{layer}/tile"]]
                    + self.slower[at] * configuration[f"{layer}/flash"]
                ),
                "live": 5.0,
            }
            for at, layer in enumerate(LAYERS)
        }

    def run(self, configuration, origin):
        profile = self.rows(configuration)
        cost = sum(row["cycles"] for row in profile.values()) / 1000
        number = len(self.trials)
        trial = TrialRecord(
            number, configuration, {"time": cost}, cost, origin=origin, profile=profile
        )
        self.trials.append(trial)
        return trial

    @property
    def best(self):
        return min(trial.cost for trial in self.trials)

    @property
    def least(self):
        own = self.tables.min(axis=1) + np.minimum(self.slower, 0.0)
        return float(own.sum()) / 1000

    def begin(self, count=6, **fixed):
        random = np.random.default_rng(1)
        self.run(self.space.default, "baseline")
        for number in range(count):
            drawn = {
                k.full_name: k.values[random.integers(len(k.values))] for k in self.space.knobs
            }
            drawn["network/order"] = "file"
            drawn |= {name: fixed.get(name.rpartition("/")[2], v) for name, v in drawn.items()}
            self.run(self.space.configuration(drawn), f"start: {number}")

    def carry_on(self, trying, count):
        for _ in range(count):
            start = trying.next(self.trials)
            if start is None:
                return
            self.run(start.configuration, f"start: {start.label}")


def made(machine, lessons=(), **settings):
    return Trying(machine.space, SCHEMA, LessonTable(lessons), TryingSettings(**settings))


@pytest.mark.parametrize("seed", range(5))
def test_one_evaluation_tells_of_many_layers_so_that_few_find_the_best(seed):
    machine = Machine(seed)
    machine.begin()
    machine.carry_on(made(machine), 30)

    # There are 8 layers with 4 x 2 choices each: 56 changes of single layers.
    assert machine.best == pytest.approx(machine.least)


def test_what_paid_elsewhere_is_tried_first():
    machine = Machine()
    machine.begin()
    lessons = [
        Lesson(layer, "flash", False, True, gain, 1.0)
        for layer, gain in zip("aceg", (0.5, 0.4, 0.3, 0.2), strict=True)
    ]
    best = min(machine.trials, key=lambda trial: trial.cost).configuration
    trying = made(machine, lessons)
    start = trying.next(machine.trials)
    tried = start.configuration.difference(best)

    for layer in "aceg":
        if not best[f"{layer}/flash"]:
            assert tried[f"{layer}/flash"] is True
    assert start.label.startswith("warm: tries choices of ")


def test_what_lost_elsewhere_comes_last_and_kind_by_kind():
    machine = Machine()
    machine.begin(4, flash=False)
    lessons = [Lesson(layer, "flash", False, True, -5.0, 1.0) for layer in LAYERS]
    lessons += [
        Lesson(layer, "tile", one, other, 0.0, 1.0)
        for layer in LAYERS
        for one, other in itertools.combinations(range(4), 2)
    ]
    known = len(machine.trials)
    machine.carry_on(made(machine, lessons), 40)
    turned_on = [
        any(trial.configuration[f"{layer}/flash"] for layer in LAYERS)
        for trial in machine.trials[known:]
    ]

    assert not turned_on[0]
    assert any(turned_on)
    assert machine.best == pytest.approx(machine.least)


def test_choices_of_one_trial_are_apart_and_of_different_runs():
    machine = Machine()
    machine.begin()
    trying = made(machine, spacing=3)
    start = trying.next(machine.trials)
    best = min(machine.trials, key=lambda trial: trial.cost).configuration
    places = sorted({LAYERS.index(name[0]) for name in start.configuration.difference(best)})

    assert len(places) > 1
    assert all(b - a >= 3 for a, b in itertools.pairwise(places))


@pytest.mark.parametrize("after", range(0, 24, 3))
def test_what_comes_next_follows_from_the_trials_alone(after):
    whole = Machine()
    whole.begin()
    trying = made(whole)
    whole.carry_on(trying, after)
    expected = trying.next(whole.trials)

    assert made(whole).next(whole.trials) == expected


def test_it_ends_after_trials_without_a_gain_and_begins_again_with_a_better_one():
    machine = Machine()
    machine.begin()
    trying = made(machine, patience=2)
    machine.carry_on(trying, 200)
    assert trying.next(machine.trials) is None

    better = {
        f"{layer}/tile": int(tile)
        for layer, tile in zip(LAYERS, machine.tables.argmin(axis=1), strict=True)
    }
    machine.run(machine.space.configuration(better), "sampler")
    if machine.trials[-1].cost == machine.best:
        assert trying.next(machine.trials) is not None


def test_nothing_is_tried_that_is_illegal_or_known():
    def check(configuration):
        if configuration["a/tile"] == 1:
            raise IllegalConfigurationError("No.")

    machine = Machine(check=check)
    machine.run(machine.space.default, "baseline")
    for number, tile in enumerate((2, 3, 2, 3)):
        machine.run(
            machine.space.configuration({"b/tile": tile, "c/tile": number % 4}), f"start: {number}"
        )
    machine.carry_on(made(machine), 40)
    configurations = [trial.configuration for trial in machine.trials]

    assert not any(each["a/tile"] == 1 for each in configurations)
    assert len(set(configurations)) >= len(configurations) - 1


def test_nothing_is_tried_before_profiles_tell_what_a_layer_adds():
    machine = Machine()
    machine.run(machine.space.default, "baseline")
    assert made(machine).next(machine.trials) is None
    assert made(machine).next([]) is None


def test_the_sampler_proposes_while_a_try_is_under_way():
    machine = Machine()
    machine.begin()
    asked = tries(made(machine), lambda: machine.trials)
    first = next(asked)

    assert first is not None
    assert next(asked) is None
    machine.run(first.configuration, f"start: {first.label}")
    second = next(asked)
    assert second is not None
    assert second.label != first.label
