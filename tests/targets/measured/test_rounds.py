from __future__ import annotations

import itertools
import random
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npu_tune.targets.measured.rounds import (
    RoundSettings,
    UsualTimes,
    standard_error,
    time_in_turns,
    time_when_calm,
)


class Machine:
    """A clock that runs only while something runs on it."""

    def __init__(self, *, noise: float = 0.0, drift: float = 0.0, seed: int = 0) -> None:
        self.now = 0.0
        self.runs: list[str] = []
        self._noise = noise
        self._drift = drift
        self._random = random.Random(seed)

    def clock(self) -> float:
        return self.now

    def program(self, name: str, seconds: float, *, late: Callable[[int], float] | None = None):
        numbers = itertools.count()

        def run() -> None:
            number = next(numbers)
            self.runs.append(name)
            slow = 1 + self._drift * self.now
            taken = seconds * slow * (1 + abs(self._random.gauss(0, self._noise)))
            self.now += taken + (late(number) if late else 0.0)

        return run


def test_the_ratio_is_that_of_the_times():
    machine = Machine()
    found = time_in_turns(
        machine.program("a", 0.002), [machine.program("b", 0.004)], clock=machine.clock
    )
    assert found.ratio == pytest.approx(0.5)
    assert found.candidate_s == pytest.approx(0.002)
    assert found.references_s == pytest.approx((0.004,))


def test_without_noise_no_more_than_the_least_rounds_are_made():
    machine = Machine()
    settings = RoundSettings(timed=3, least=5)
    found = time_in_turns(
        machine.program("a", 0.002),
        [machine.program("b", 0.004)],
        clock=machine.clock,
        settings=settings,
    )
    assert found.rounds == 5
    assert machine.runs.count("a") == machine.runs.count("b") == 5 * (3 + 1)


def test_noise_makes_more_rounds_up_to_the_most():
    machine = Machine(noise=0.5)
    settings = RoundSettings(timed=1, least=4, most=9, enough=1e-6)
    found = time_in_turns(
        machine.program("a", 0.002),
        [machine.program("b", 0.004)],
        clock=machine.clock,
        settings=settings,
    )
    assert found.rounds == 9
    assert found.spread > 1e-6


def test_a_network_that_takes_long_has_fewer_rounds():
    machine = Machine(noise=0.5)
    found = time_in_turns(
        machine.program("a", 2.0),
        [machine.program("b", 4.0)],
        clock=machine.clock,
        settings=RoundSettings(fewest=3, least=5, seconds=0.0),
    )
    assert found.rounds == 3


def test_the_run_after_a_switch_does_not_count():
    machine = Machine()
    settings = RoundSettings(timed=2, least=4)
    found = time_in_turns(
        machine.program("a", 0.002, late=lambda number: 0.1 if number % 3 == 0 else 0.0),
        [machine.program("b", 0.004)],
        clock=machine.clock,
        settings=settings,
    )
    assert found.ratio == pytest.approx(0.5)


def test_a_drift_of_all_times_leaves_the_ratio():
    machine = Machine(drift=3.0)
    found = time_in_turns(
        machine.program("a", 0.0005), [machine.program("b", 0.001)], clock=machine.clock
    )
    assert found.ratio == pytest.approx(0.5, rel=0.02)


def test_rounds_that_were_disturbed_do_not_count():
    machine = Machine()
    settings = RoundSettings(timed=2, least=16, most=16)
    runs_per_round = settings.timed + 1
    disturbed = range(4 * runs_per_round, 14 * runs_per_round)
    found = time_in_turns(
        machine.program("a", 0.002, late=lambda number: 0.002 if number in disturbed else 0.0),
        [machine.program("b", 0.004)],
        clock=machine.clock,
        settings=settings,
    )
    assert found.ratio == pytest.approx(0.5)


def test_every_reference_is_timed_and_the_first_makes_the_ratio():
    machine = Machine()
    found = time_in_turns(
        machine.program("a", 0.002),
        [machine.program("b", 0.004), machine.program("c", 0.001)],
        clock=machine.clock,
    )
    assert found.ratio == pytest.approx(0.5)
    assert found.references_s == pytest.approx((0.004, 0.001))


def test_every_block_of_runs_follows_one_of_the_other_network():
    machine = Machine()
    time_in_turns(machine.program("a", 0.002), [machine.program("b", 0.004)], clock=machine.clock)
    settings = RoundSettings()
    rounds = np.array(machine.runs).reshape(-1, 2 * (settings.timed + 1))
    assert list(rounds[:, 0]) == ["a"] * settings.least


@given(
    st.lists(st.tuples(st.floats(0.5, 2.0), st.floats(0.5, 2.0)), min_size=4, max_size=30),
    st.floats(0.1, 10.0),
)
def test_the_relative_error_does_not_depend_on_the_scale(rounds, factor):
    first = standard_error(np.array(rounds))
    scaled = standard_error(np.array(rounds) * factor)
    assert scaled == pytest.approx(first, rel=1e-6, abs=1e-12)


def test_the_standard_error_is_that_of_the_ratio_of_lower_quintiles():
    generator = np.random.default_rng(1)
    samples = 1 + 0.02 * generator.normal(size=(1000, 40, 2))
    times = np.quantile(samples, 0.2, axis=1)
    true = (times[:, 0] / times[:, 1]).std()
    stated = np.mean([standard_error(row) for row in samples])
    assert stated == pytest.approx(true, rel=0.1)


def test_a_measurement_is_made_again_while_the_reference_takes_longer_than_usual():
    machine = Machine()
    settings = RoundSettings(timed=1, least=4, most=4)
    slow = range(2 * settings.least)
    found = time_when_calm(
        machine.program("a", 0.002, late=lambda number: 0.003 if number in slow else 0.0),
        [machine.program("b", 0.004, late=lambda number: 0.002 if number in slow else 0.0)],
        clock=machine.clock,
        settings=settings,
        usual_s=(0.004,),
    )
    assert found.ratio == pytest.approx(0.5)
    assert machine.runs.count("a") == 2 * 2 * settings.least
    assert found.measured_s == pytest.approx(2 * settings.least * (0.002 + 0.003 + 0.004 + 0.002))
    assert found.waited_s == pytest.approx(2 * settings.least * (0.002 + 0.004))


def test_a_measurement_is_made_again_while_any_reference_takes_longer_than_usual():
    machine = Machine()
    settings = RoundSettings(timed=1, least=4, most=4)
    slow = range(2 * settings.least)
    time_when_calm(
        machine.program("a", 0.002),
        [
            machine.program("b", 0.004),
            machine.program("c", 0.001, late=lambda number: 0.0005 if number in slow else 0.0),
        ],
        clock=machine.clock,
        settings=settings,
        usual_s=(0.004, 0.001),
    )
    assert machine.runs.count("a") == 2 * 2 * settings.least


def test_a_measurement_is_made_again_while_its_ratio_is_uncertain():
    machine = Machine()
    settings = RoundSettings(timed=1, least=8, most=8)
    wild = range(2 * settings.least)
    found = time_when_calm(
        machine.program("a", 0.002, late=lambda n: 0.001 * (n % 4) if n in wild else 0.0),
        [machine.program("b", 0.004)],
        clock=machine.clock,
        settings=settings,
        usual_s=(0.004,),
    )
    assert found.spread == 0.0
    assert machine.runs.count("a") == 2 * 2 * settings.least


def test_a_machine_that_has_become_slower_is_not_waited_for_without_end():
    machine = Machine()
    settings = RoundSettings(timed=1, least=4, most=4)
    once = 2 * settings.least * (0.002 + 0.008)
    found = time_when_calm(
        machine.program("a", 0.002),
        [machine.program("b", 0.008)],
        clock=machine.clock,
        settings=settings,
        usual_s=(0.004,),
        patience_s=1.5 * once,
    )
    assert found.ratio == pytest.approx(0.25)
    assert machine.runs.count("a") == 3 * 2 * settings.least


def test_what_is_usual_is_that_of_a_calm_machine_as_long_as_it_is_so_now_and_then():
    usual = UsualTimes()
    assert usual.seconds == ()
    for seconds in [1.0] * 8 + [3.0] * 56:
        usual.add((seconds, 2 * seconds))
    assert usual.seconds == (1.0, 2.0)
    for _ in range(8):
        usual.add((3.0, 6.0))
    assert usual.seconds == (3.0, 6.0)


def test_drift_is_what_the_second_reference_lost_beyond_the_first():
    usual = UsualTimes()
    for seconds in [(1.00, 0.500), (1.02, 0.520), (1.01, 0.505), (1.3, 0.78)]:
        usual.add(seconds)
    assert usual.drift((1.3, 0.78)) == pytest.approx(0.6 / 0.5)
    assert usual.drift((1.0, 0.5)) == pytest.approx(1.0)


def test_one_reference_alone_does_not_drift():
    usual = UsualTimes()
    usual.add((1.0,))
    assert usual.drift((1.5,)) == 1.0
