from __future__ import annotations

import json
from dataclasses import replace

import pytest
from study_results import objective_of, study_result

from npu_tune.columns import columns_of
from npu_tune.report import study_document, study_text
from npu_tune.report.optimum import (
    Optimum,
    Standing,
    bound_cells,
    optimum_document,
    optimum_text,
)
from npu_tune.space import Configuration
from npu_tune.targets import Kind, Metric
from npu_tune.targets.oracle import Bound, Front, FrontPoint, Gap

DEFAULT = Configuration.of({"a/block": 8, "b/block": 8})
METRICS = (Metric("ms", "ms", Kind.SIMULATED), Metric("ram", "B", Kind.SIMULATED))
FAST = FrontPoint(DEFAULT.replace({"a/block": 16}), {"ms": 2.5, "ram": 4096.0})
SMALL = FrontPoint(DEFAULT, {"ms": 4.0, "ram": 2048.0})
RELAXED = {"ms": 1.5, "ram": 1024.0}
BOUND = Bound(RELAXED, notes=("It holds for one accelerator.",), front=(RELAXED,))


def front(tolerance=0.0):
    return Front(("ms", "ram"), (FAST, SMALL), tolerance, 3 * 10**12, notes=("Without tiles.",))


def known(**more):
    return Optimum(METRICS, DEFAULT, **{"front": front(), "bound": BOUND} | more)


def standing(nearest=FAST, share=0.9, trial=7):
    return Standing("mine", trial, Gap(0.66, 0.6, nearest), share)


OUT_OF_REACH = {"front": None, "reason": "The front takes more than 2 labels."}


def in_words(text):
    """Text without the ends of its lines."""
    return " ".join(text.split())


def test_a_front_lists_its_points_with_their_metrics():
    text = optimum_text(known())
    lines = text.splitlines()
    assert lines[0] == "Front (exact; 2 points, of about 10^12 configurations)"
    assert lines[2].split() == ["0", "2.5", "4.0", "KiB"]
    assert lines[3].split() == ["1", "4", "2.0", "KiB"]
    assert "Without tiles." in text
    assert "accelerator" not in text


def test_a_front_that_is_not_exact_says_how_far_off_it_may_be():
    optimum = known(front=front(tolerance=0.01))
    assert "Front (within 1.00%; 2 points" in optimum_text(optimum)
    assert optimum_document(optimum)["kind"] == "within tolerance"


def test_without_a_front_the_bound_is_told_and_the_reason():
    text = optimum_text(known(**OUT_OF_REACH))
    assert "Bound, not a front: The front takes more than 2 labels." in text
    assert "It holds for one accelerator." in text
    assert [line.split() for line in text.splitlines() if line.startswith("ram")] == [
        ["ram", "1.0", "KiB"]
    ]


def test_a_study_is_held_against_the_optimum():
    text = in_words(optimum_text(known(standing=standing())))
    assert "Study mine: the cost of its best trial (7) is 0.6600" in text
    assert "10.00% above the optimum (0.6000)." in text
    assert "Its trials reach 90.00% of the volume" in text


def test_against_a_bound_a_study_is_said_to_have_unknown_distance():
    text = in_words(
        optimum_text(known(standing=standing(nearest=None, share=None), **OUT_OF_REACH))
    )
    assert "above the bound: an optimum may lie anywhere between" in text
    assert "of the volume" not in text


def test_a_study_below_a_front_that_leaves_choices_out_is_held_against_the_bound():
    below = Standing("mine", 7, Gap(0.54, 0.5, None), 1.2, front_cost=0.6)
    text = in_words(optimum_text(known(standing=below)))
    assert "10.00% below the front (0.6000): it has choices that the front leaves out." in text
    assert "8.00% above the bound: an optimum may lie anywhere between (0.5000)." in text
    assert optimum_document(known(standing=below))["standing"]["front_cost"] == 0.6


def test_the_document_holds_the_points_with_what_they_change():
    document = optimum_document(known(standing=standing()))
    assert json.loads(json.dumps(document)) == document
    assert document["kind"] == "exact"
    assert document["front"]["points"][0]["changes"] == {"a/block": 16}
    assert document["front"]["points"][1]["changes"] == {}
    assert document["bound"]["metrics"] == {"ms": 1.5, "ram": 1024.0}
    assert document["bound"]["front"] == [RELAXED]
    assert document["standing"]["excess"] == pytest.approx(0.1)
    assert document["standing"]["nearest"] == {"ms": 2.5, "ram": 4096.0}


def test_the_document_of_a_bound_has_no_front():
    document = optimum_document(known(standing=standing(nearest=None, share=None), **OUT_OF_REACH))
    assert document["kind"] == "bound"
    assert document["reason"] == OUT_OF_REACH["reason"]
    assert document["front"] is None
    assert document["standing"]["nearest"] is None
    assert document["standing"]["hypervolume_share"] is None
    assert optimum_document(known())["standing"] is None


def test_a_study_says_how_far_its_best_is_above_the_bound():
    result = replace(study_result(), bound=Bound({"cycles": 800.0, "sram_bytes": 30 * 1024.0}))
    assert bound_cells(result, "cycles") == ("6.2%",)
    assert bound_cells(result, "sram_bytes") == ("100.0%",)
    assert bound_cells(result, "npu_share") == ("-",)
    assert bound_cells(result, "cost") == ("31.8%",)
    with columns_of(100):
        text = study_text(result)
    header = next(line for line in text.splitlines() if line.startswith("metric"))
    assert "of baseline  above the bound" in header
    document = study_document(result, folder=None)["bound"]
    assert document["metrics"] == dict(result.bound.metrics)
    assert document["excess"] == pytest.approx(0.725 / 0.55 - 1)


@pytest.mark.parametrize("metrics", [{"cycles": 800.0}, {}])
def test_a_bound_that_leaves_out_what_is_optimised_says_nothing_of_the_best(metrics):
    result = replace(study_result(), bound=Bound(metrics))
    assert bound_cells(result, "cost") == ()
    assert "above the bound" not in study_text(result)
    assert study_document(result, folder=None)["bound"]["excess"] is None


def test_a_bound_of_metrics_of_which_more_is_better_says_nothing():
    objective = objective_of("cycles", directions={"cycles": "maximize"})
    result = replace(study_result(), objective=objective, bound=Bound({"cycles": 1.0}))
    assert result.gap is None
