from __future__ import annotations

import dataclasses

import pytest
from layered_problem import LayeredProblem, quiet
from our_samplers import SAMPLERS

from npu_tune.samplers import (
    AnnealingSettings,
    LayerProfileSettings,
    LayerwiseSettings,
    QLearningSettings,
    StepSettings,
)

PROBLEM = LayeredProblem(layers=6)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("layerwise", LayerwiseSettings(choices_per_parameter=9)),
        ("layerwise", LayerwiseSettings(steps=StepSettings(whole_run_share=1.0), run_share=0.8)),
        ("annealing", AnnealingSettings(steps=StepSettings(neighbour_share=0.0))),
        ("profile", LayerProfileSettings(sweep_share=0.0)),
        ("profile", LayerProfileSettings(grid=3, predicted_share=0.9)),
    ],
)
def test_other_settings_give_another_search(name, settings):
    quiet()
    usual, other = (
        PROBLEM.search(SAMPLERS[name](seed=1, **options), 30, profiles=True)
        for options in ({}, {"settings": settings})
    )
    assert [t.params for t in usual] != [t.params for t in other]


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (StepSettings, {"whole_run_share": 1.5}),
        (LayerwiseSettings, {"all_choices": 0}),
        (LayerwiseSettings, {"rank_decay": 0.0}),
        (LayerwiseSettings, {"most_layer_weight": 0.1}),
        (AnnealingSettings, {"heat": -1.0}),
        (AnnealingSettings, {"attempts": None}),
        (QLearningSettings, {"attempts": 0}),
        (LayerProfileSettings, {"sweep_share": -0.1}),
        (LayerProfileSettings, {"kinds": (0.5, 0.5, 0.5, 0.5)}),
        (LayerProfileSettings, {"revert_kinds": (0.5, 0.5, 0.5)}),
        (LayerProfileSettings, {"predicted_share": 0.95}),
        (LayerProfileSettings, {"limited_share": 0.95}),
        (LayerProfileSettings, {"sweep_positions": 1}),
        (LayerProfileSettings, {"boldness": ()}),
    ],
    ids=str,
)
def test_a_setting_out_of_range_is_refused_by_name(kind, options):
    with pytest.raises(ValueError, match=next(iter(options))):
        kind(**options)


@pytest.mark.parametrize(
    "kind", [AnnealingSettings, LayerProfileSettings, LayerwiseSettings, QLearningSettings]
)
def test_settings_are_values(kind):
    assert kind() == kind()
    assert hash(kind()) == hash(kind())
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(kind(), dataclasses.fields(kind)[0].name, 1)
