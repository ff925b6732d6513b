"""Trials of a chain of four layers whose profiles say which of them ran together."""

from __future__ import annotations

import optuna
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from npu_tune.samplers.history import History
from npu_tune.samplers.layers import LayeredSpace
from npu_tune.samplers.profile.profiles import Profiles
from npu_tune.samplers.profile.segments import Segments

LAYERS = ("a", "b", "c", "d")
DISTRIBUTIONS: dict[str, BaseDistribution] = {
    f"{layer}/{name}": distribution
    for layer in LAYERS
    for name, distribution in (
        ("chain", CategoricalDistribution((False, True))),
        ("width", IntDistribution(0, 3)),
    )
}
SPACE = LayeredSpace.of(DISTRIBUTIONS, None)
CYCLES, BYTES = 0, 1


def chained_trial(number, chained, widths, cycles, held, *, epochs=True):
    """A trial in which the layers whose chain is set run together with the next ones."""
    params, rows, epoch = {}, {}, 0
    for at, layer in enumerate(LAYERS):
        params |= {f"{layer}/chain": chained[at], f"{layer}/width": widths[at]}
        rows[layer] = {"cycles": cycles[at], "live_bytes": held[at]}
        if epochs:
            rows[layer]["epoch"] = epoch
        epoch += not chained[at]
    trial = create_trial(
        state=TrialState.COMPLETE,
        value=float(sum(cycles)),
        params=params,
        distributions=DISTRIBUTIONS,
        user_attrs={"profile": rows},
    )
    trial.number = number
    return trial


def learnt(trials):
    """The profiles of trials, and the segments in them."""
    history = History(SPACE, [optuna.study.StudyDirection.MINIMIZE])
    history.read(trials, trials, settled=len(trials))
    profiles, segments = Profiles(SPACE, "profile"), Segments(SPACE)
    profiles.read(history, trials)
    segments.read(profiles)
    return profiles, segments


PAIRED = chained_trial(0, (True, False, True, False), (0, 0, 1, 1), (1, 2, 30, 40), (5, 5, 9, 9))
SINGLE = chained_trial(1, (False,) * 4, (2, 2, 3, 3), (10, 20, 3, 4), (8, 8, 2, 2))


FIGURES = st.integers(1, 50)


@st.composite
def trials_of_any_kind(draw):
    """Up to five trials with any choices and figures."""
    return [
        chained_trial(
            number,
            (*draw(st.tuples(*[st.booleans()] * 3)), False),
            draw(st.tuples(*[st.integers(0, 3)] * 4)),
            draw(st.tuples(*[FIGURES] * 4)),
            draw(st.tuples(*[FIGURES] * 4)),
        )
        for number in range(draw(st.integers(1, 5)))
    ]
