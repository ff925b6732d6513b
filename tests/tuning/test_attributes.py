from __future__ import annotations

import pytest
from optuna.trial import create_trial

from npu_tune.errors import StorageError
from npu_tune.space import Configuration
from npu_tune.tuning.attributes import trial_attributes, trial_metrics
from npu_tune.tuning.objective import Objective
from npu_tune.tuning.recorded import trial_records
from npu_tune.tuning.trial import BASELINE, TrialRecord

DEFAULT = Configuration.of({"a/knob": 0})
CHANGED = DEFAULT.replace({"a/knob": 1})
OBJECTIVE = Objective({"cycles": 1.0}, {"cycles": "minimize"}, {})


def ledger(*records):
    """The trials of a ledger that holds these records."""
    trials = []
    for record in records:
        key = str(record.configuration["a/knob"])
        attributes = trial_attributes(record, default=DEFAULT, key=key, elapsed_s=0.0)
        trial = create_trial(value=0.0, user_attrs=attributes)
        trial.number = record.number
        trials.append(trial)
    return trials


def test_a_duplicate_repeats_what_was_evaluated_and_not_what_was_lost_with_its_worker():
    trials = ledger(
        TrialRecord(0, DEFAULT, metrics={"cycles": 10.0}, origin=BASELINE),
        TrialRecord(1, CHANGED, failure="infrastructure", message="gone"),
        TrialRecord(2, CHANGED, metrics={"cycles": 5.0}),
        TrialRecord(3, CHANGED, metrics={"cycles": 5.0}, duplicate_of=2),
    )

    *_, lost, evaluated, duplicate = trial_records(trials, default=DEFAULT, objective=OBJECTIVE)

    assert lost.failure == "infrastructure"
    assert duplicate.duplicate_of == evaluated.number == 2
    assert duplicate.cost == evaluated.cost == 0.5


def test_costs_are_taken_against_the_first_baseline_where_evaluations_do_not_differ():
    trials = ledger(
        TrialRecord(0, DEFAULT, metrics={"cycles": 10.0}, origin=BASELINE),
        TrialRecord(1, DEFAULT, metrics={"cycles": 20.0}, origin=BASELINE),
        TrialRecord(2, CHANGED, metrics={"cycles": 5.0}),
    )

    assert trial_records(trials, default=DEFAULT, objective=OBJECTIVE)[-1].cost == 0.5


@pytest.mark.parametrize(
    "attributes",
    [
        {"configuration": {"no/knob": 1}},
        {"configuration": 5},
        {"cycles": "many"},
        {"metrics": {"cycles": "many"}},
        {"metrics": [1.0]},
    ],
)
def test_a_trial_with_attributes_of_another_form_is_named(attributes):
    trials = ledger(TrialRecord(0, DEFAULT, metrics={"cycles": 10.0}, origin=BASELINE))
    odd = create_trial(value=0.0, user_attrs={"key": "k", **attributes})
    odd.number = 7

    with pytest.raises(StorageError, match="trial 7"):
        trial_records([*trials, odd], default=DEFAULT, objective=OBJECTIVE)


def test_what_was_predicted_is_kept_with_the_trial_and_not_with_its_duplicates():
    trials = ledger(
        TrialRecord(0, DEFAULT, metrics={"cycles": 10.0}, origin=BASELINE),
        TrialRecord(1, CHANGED, metrics={"cycles": 5.0}, predicted=0.51),
        TrialRecord(2, CHANGED, metrics={"cycles": 5.0}, duplicate_of=1),
    )

    baseline, verified, duplicate = trial_records(trials, default=DEFAULT, objective=OBJECTIVE)

    assert verified.predicted == 0.51
    assert baseline.predicted is duplicate.predicted is None


def test_every_metric_is_a_plain_attribute_and_stands_nowhere_else():
    record = TrialRecord(0, DEFAULT, metrics={"cycles": 10.0, "sram_bytes": 3.0})

    attributes = trial_attributes(record, default=DEFAULT, key="k", elapsed_s=0.0)

    assert (attributes["cycles"], attributes["sram_bytes"]) == (10.0, 3.0)
    assert "metrics" not in attributes
    assert trial_metrics(attributes) == record.metrics


def test_a_metric_whose_name_is_taken_is_kept_beside_the_others():
    metrics = {"seconds": 7.0, "cycles": 10.0, "profile": 1.0}
    record = TrialRecord(0, DEFAULT, metrics=metrics, seconds=0.5)

    attributes = trial_attributes(record, default=DEFAULT, key="k", elapsed_s=0.0)

    assert attributes["seconds"] == 0.5
    assert trial_metrics(attributes) == metrics


def test_metrics_of_an_earlier_version_are_read():
    attributes = {"key": "k", "seconds": 0.5, "metrics": {"cycles": 10.0}}

    assert trial_metrics(attributes) == {"cycles": 10.0}


def test_changes_are_told_in_words():
    record = TrialRecord(0, CHANGED, metrics={"cycles": 10.0})

    attributes = trial_attributes(record, default=DEFAULT, key="k", elapsed_s=0.0)

    assert attributes["changes"] == "a: knob 0 -> 1"
    assert attributes["configuration"] == {"a/knob": 1}
