from __future__ import annotations

import json
import pickle

import pytest
from ray.air._internal.json import SafeFallbackEncoder

from npu_tune.raytune.reported import LayerTable, report_of
from npu_tune.targets import Evaluation
from npu_tune.targets.profiles import pack_profile

PROFILE = {"conv1": {"cycles": 10.0, "epoch": 0.0}, "conv2": {"cycles": 30.0, "epoch": 1.0}}


def test_a_profile_is_one_value_that_comes_back_whole():
    table = pickle.loads(pickle.dumps(LayerTable.of(PROFILE)))  # noqa: S301 - our own
    assert table.packed() == pack_profile(PROFILE)
    assert table.to_dataframe().loc["conv2", "cycles"] == 30.0


def test_loggers_write_a_profile_as_a_few_words():
    # The encoder of Ray Tune's JSON logger.
    written = json.dumps({"profile": LayerTable.of(PROFILE)}, cls=SafeFallbackEncoder)
    assert written == '{"profile": "of 2 layers"}'


def test_one_evaluation_is_reported_as_it_is():
    assert report_of([Evaluation({"cycles": 40.0})]) == {"cycles": 40.0}


def test_several_are_reported_as_their_means_layer_by_layer():
    slower = {"conv1": {"cycles": 20.0, "epoch": 0.0}, "conv2": {"cycles": 40.0, "epoch": 1.0}}
    report = report_of(
        [Evaluation({"cycles": 40.0}, PROFILE), Evaluation({"cycles": 60.0}, slower)]
    )
    assert report["cycles"] == pytest.approx(50.0)
    assert report["profile"].to_dataframe()["cycles"].to_list() == [15.0, 35.0]
