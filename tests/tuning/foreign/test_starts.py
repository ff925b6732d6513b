from __future__ import annotations

import json

import optuna
import pytest
from foreign_studies import create, fake_problem
from optuna.trial import TrialState

from npu_tune.errors import StudyMismatchError, UsageError
from npu_tune.space import to_distributions
from npu_tune.tuning.foreign.starts import (
    ImportedStudy,
    kept_imports,
    require_same_source,
    take_trials,
)
from npu_tune.tuning.foreign.study import ForeignStudy


def foreign_of(study: optuna.Study, names=()) -> ForeignStudy:
    directions = tuple(each.name.lower() for each in study.directions)
    return ForeignStudy(study.study_name, "there", directions, tuple(names), study.trials)


def add(study, params, values=None, state=TrialState.COMPLETE, **options):
    with fake_problem() as problem:
        known = to_distributions(problem.space)
    asked = {name: known[name] for name in params}
    study.add_trial(
        optuna.create_trial(
            params=params, distributions=asked, values=values, state=state, **options
        )
    )


def taken(study, *, budget=None, names=()) -> ImportedStudy:
    with fake_problem() as problem:
        return take_trials(foreign_of(study, names), problem, budget=budget)


def numbers(imported: ImportedStudy) -> list[list[int]]:
    return [[trial.number for trial in start.trials] for start in imported.starts]


def test_every_state_has_its_place_behind_what_is_complete():
    study = create(None)
    add(study, {"network/strategy": "speed"}, state=TrialState.FAIL)
    add(study, {"layer1/block": 1}, state=TrialState.PRUNED)
    study.enqueue_trial({"layer1/block": 2})
    add(study, {"layer2/block": 1}, state=TrialState.RUNNING)
    add(study, {"layer2/block": 2}, [2.0])
    add(study, {"layer1/traversal": "part"}, [1.0])

    imported = taken(study)

    assert numbers(imported) == [[5], [4], [2], [3], [1], [0]]
    assert imported.states == {"complete": 2, "waiting": 1, "running": 1, "pruned": 1, "fail": 1}
    assert imported.starts[2].changes == {"layer1/block": 24}


def test_more_is_better_where_the_study_says_so_and_broken_constraints_come_last():
    study = create(None, direction="maximize")
    add(study, {"layer1/block": 1}, [1.0])
    add(study, {"layer1/block": 2}, [3.0], constraints={"room": 0.5})
    add(study, {"layer2/block": 1}, [2.0])
    assert numbers(taken(study)) == [[2], [0], [1]]


def test_of_several_objectives_the_front_comes_first():
    study = create(None, directions=["minimize", "minimize"])
    add(study, {"layer1/block": 1}, [5.0, 5.0])
    add(study, {"layer1/block": 2}, [0.0, 9.0])
    add(study, {"layer2/block": 1}, [1.0, 1.0])
    add(study, {"layer2/block": 2}, [float("inf"), 0.0])
    assert numbers(taken(study)) == [[2], [1], [3], [0]]


def test_trials_of_one_configuration_are_one_start_and_all_are_named():
    study = create(None)
    for value in (3.0, 1.0, 2.0):
        add(study, {"layer1/block": 1}, [value])
    add(study, {"layer2/block": 1}, [0.5])
    assert numbers(taken(study)) == [[3], [1, 2, 0]]


def test_what_is_beyond_the_budget_is_counted():
    study = create(None)
    for position, layer in enumerate(("layer1", "layer2")):
        for stripe in (1, 2):
            add(study, {f"{layer}/block": stripe}, [float(position)])
    imported = taken(study, budget=3)
    assert (len(imported.starts), imported.left_out) == (3, 1)


def test_refused_trials_are_named_and_a_study_of_nothing_else_is_refused_itself():
    study = create(None)
    study.enqueue_trial({"layer9/block": 1})
    study.enqueue_trial({"layer1/block": 1})
    assert [each.number for each in taken(study).refused] == [0]

    foreign = create(None)
    foreign.enqueue_trial({"learning_rate": 0.1})
    with pytest.raises(UsageError, match=r"No trial .* trial 0: There is no knob"):
        taken(foreign)
    with pytest.raises(UsageError, match="no trials"):
        taken(create(None))


def test_numbers_are_kept_by_name_from_values_and_from_attributes():
    study = create(None)
    add(study, {"layer1/block": 1}, [7.0], user_attrs={"cycles": 4, "note": "x", "share": "y"})
    add(study, {"layer2/block": 1}, [float("inf")])
    first, second = (start.trials[0].metrics for start in taken(study, names=["size"]).starts)
    assert (dict(first), dict(second)) == ({"cycles": 4, "size": 7.0}, {})


def test_a_ledger_keeps_what_was_taken_over_as_json():
    study = create(None)
    add(study, {"layer1/block": 1}, [7.0])
    study.enqueue_trial({"layer9/block": 1})
    imported = taken(study)
    attributes = json.loads(json.dumps({imported.key: imported.to_json(), "other": 1}))
    assert kept_imports(attributes) == [imported]


def test_another_study_of_the_same_name_is_refused_and_the_same_one_grown_is_not():
    study = create(None)
    running = study.ask({"layer2/block": to_distributions(fake_problem().space)["layer2/block"]})
    add(study, {"layer1/block": 1}, [7.0])
    before = taken(study)
    attributes = {before.key: before.to_json()}
    study.tell(running, 3.0)
    add(study, {"layer1/block": 2}, [6.0])
    require_same_source(attributes, taken(study))

    other = create(None)
    add(other, {"layer2/block": 1}, [7.0])
    add(other, {"layer2/block": 2}, [7.0])
    with pytest.raises(StudyMismatchError, match="trial 1 was another configuration"):
        require_same_source(attributes, taken(other))
