from __future__ import annotations

import warnings

import pytest

from npu_tune.errors import NpuTuneWarning
from npu_tune.tuning.notices import explain_sampler
from npu_tune.tuning.objective import Objective
from npu_tune.validation import keys_called

WEIGHTS = {"cycles": 0.5, "sram_bytes": 0.5}
WAYS = dict.fromkeys(WEIGHTS, "minimize")


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ({"objective.mode": "--mode"}, "give --mode pareto"),
        ({"objective.mode": "the argument 'mode'"}, "set the argument 'mode' to 'pareto'"),
        ({}, "set the key 'objective.mode' to 'pareto'"),
    ],
)
def test_how_a_sampler_sees_every_metric_is_told_in_the_words_that_were_typed(names, told):
    with keys_called(names), pytest.warns(NpuTuneWarning, match=told):
        explain_sampler("nsga2", Objective(WEIGHTS, WAYS, {}))


@pytest.mark.parametrize(("name", "pareto"), [("nsga2", True), ("profile", False)])
def test_nothing_is_told_of_a_sampler_that_does_what_it_is_made_for(name, pareto):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        explain_sampler(name, Objective(WEIGHTS, WAYS, {}, pareto=pareto))
