from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npu_tune.targets.measured.mixed import DECIBELS, mixtures

NOISE = {f"layer{i}": 10 ** (-(25 + 3 * i) / 10) for i in range(12)}
WORK = {name: 1000.0 * (1 + i % 3) for i, name in enumerate(NOISE)}


def _decibels(noise, taken, *, share: float = 1.0) -> float:
    return -10 * math.log10(max(share * sum(noise[name] for name in taken), 1e-30))


@pytest.mark.parametrize("share", [0.5, 1.0, 2.0])
def test_every_mixture_keeps_what_it_promises_also_where_noise_does_not_add_up(share):
    found = list(mixtures(NOISE, WORK, lambda taken: _decibels(NOISE, taken, share=share)))
    assert found
    for label, taken in found:
        promised = float(label.split()[2])
        assert _decibels(NOISE, taken, share=share) >= promised


def test_from_the_end_there_are_no_gaps():
    names = list(NOISE)
    for label, taken in mixtures(NOISE, WORK, lambda taken: _decibels(NOISE, taken)):
        if label.endswith("end"):
            assert list(taken) == names[::-1][: len(taken)]


def test_more_layers_are_taken_where_less_is_lost_than_the_sum_says():
    def layers(share: float) -> int:
        found = mixtures(NOISE, WORK, lambda taken: _decibels(NOISE, taken, share=share))
        return len(dict(found)["int8 for 30 dB"])

    assert layers(0.3) > layers(1.0)


def test_outputs_that_are_no_numbers_take_nothing():
    assert list(mixtures(NOISE, WORK, lambda _: math.nan)) == []


@given(st.lists(st.floats(1e-7, 1.0), min_size=1, max_size=12), st.floats(0.3, 3.0))
def test_no_mixture_comes_twice_and_all_of_them_keep_their_word(values, share):
    noise = {f"layer{i}": value for i, value in enumerate(values)}
    work = dict.fromkeys(noise, 1.0)
    found = list(mixtures(noise, work, lambda taken: _decibels(noise, taken, share=share)))
    assert len({frozenset(taken) for _, taken in found}) == len(found) <= 2 * len(DECIBELS)
    for label, taken in found:
        assert _decibels(noise, taken, share=share) >= float(label.split()[2])
