import numpy as np
import pandas as pd
import pytest

from npu_tune.compare.analysis.scores import sampler_curves, tidy_table
from npu_tune.compare.runs.recording import (
    ProblemName,
    ProblemRecord,
    Recording,
    RunName,
    RunRecord,
)
from npu_tune.targets import Kind, Metric
from npu_tune.tuning.objective import Objective

NAME = ProblemName("net", "npu", "weighted")


def problem(**objective):
    asked = {
        "weights": {"cycles": 0.5, "bytes": 0.5},
        "directions": {"cycles": "minimize", "bytes": "minimize"},
        "limits": {},
    }
    metrics = (Metric("cycles", "", Kind.SIMULATED), Metric("bytes", "B", Kind.SIMULATED))
    return ProblemRecord(
        NAME, "0" * 64, "npu", {}, metrics, Objective(**(asked | objective)),
        {"cycles": 100.0, "bytes": 10.0},
    )  # fmt: skip


def table(rows, **objective):
    frame = pd.DataFrame(rows, columns=["cycles", "bytes", "failure", "cached"])
    run = RunRecord(RunName(NAME, "s", 3), "d", {}, 9, "evaluations", 0, 0.0, 0.0, frame)
    return tidy_table(Recording((problem(**objective),), (run,)), reference_point=1.1)


def test_costs_and_the_best_so_far_follow_from_the_metrics():
    tidy = table([(100, 10, "", False), (80, 12, "", True), (50, 10, "", False)])
    assert tidy["cost"].tolist() == pytest.approx([1.0, 1.0, 0.75])
    assert tidy["best"].tolist() == pytest.approx([1.0, 1.0, 0.75])
    assert tidy["evaluation"].tolist() == [1, 2, 3]
    assert tidy.iloc[0][["network", "target", "objective", "sampler", "seed"]].tolist() == [
        "net", "npu", "weighted", "s", 3,
    ]  # fmt: skip


def test_failed_and_infeasible_evaluations_are_never_the_best():
    rows = [(100, 10, "", False), (np.nan, np.nan, "crash", False), (10, 9, "", False)]
    tidy = table(rows, limits={"bytes": 8.0})
    assert tidy["feasible"].tolist() == [False, False, False]
    assert tidy["best"].isna().all()
    tidy = table(rows, limits={"bytes": 9.0})
    assert tidy["best"].tolist() == pytest.approx([np.nan, np.nan, 0.5], nan_ok=True)


def test_more_of_a_metric_that_is_maximized_costs_less():
    tidy = table([(100, 15, "", False)], directions={"cycles": "minimize", "bytes": "maximize"})
    assert tidy["cost"].tolist() == pytest.approx([0.75])


def test_there_is_no_hypervolume_of_one_metric():
    tidy = table([(50, 10, "", False)], weights={"cycles": 1.0}, directions={"cycles": "minimize"})
    assert tidy["hypervolume"].isna().all()


def test_curves_are_extended_to_the_budget_and_empty_for_missing_seeds():
    runs = pd.DataFrame({"seed": [4, 4, 2], "best": [np.nan, 0.5, 1.0]})
    lines = sampler_curves(runs, "best", seeds=(2, 3, 4), budget=3)
    wanted = [[1.0, 1.0, 1.0], [np.nan] * 3, [np.inf, 0.5, 0.5]]
    assert lines == pytest.approx(np.array(wanted), nan_ok=True)
