from __future__ import annotations

import pytest
from fake_studies import fake_study, run_fake, start_program, story
from fake_targets import (
    FailingTarget,
    LayeredTarget,
    NoisyTarget,
    Where,
    fake_network,
    wait_until,
)

from npu_tune.errors import UsageError
from npu_tune.tuning import read_study, run_study
from npu_tune.tuning.phase import Phase
from npu_tune.tuning.polish import best_trial
from npu_tune.tuning.trial import is_polish

NETWORK = fake_network()
PROBLEM = LayeredTarget().bind(NETWORK)
ANNEALING = {"sampler": {"name": "annealing"}}


def run(folder, evaluations, polish=True, **sections):
    study = {"polish": polish, **sections.pop("study", {})}
    return run_fake(folder, evaluations, study=study, **sections)


def evaluated(result):
    return [trial for trial in result.trials if trial.duplicate_of is None]


def cost_of_reverts(result):
    space, baseline = PROBLEM.space, result.baseline.metrics
    for name in result.best.configuration.difference(space.default):
        revert = result.best.configuration.replace({name: space.default[name]})
        metrics = PROBLEM.evaluate(revert).metrics
        if not any(value > 0 for value in result.objective.violations(metrics).values()):
            yield result.objective.cost(metrics, baseline)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("sampler", ["random", "annealing", "layerwise"])
def test_a_polished_study_keeps_its_budget_and_no_change_is_free_to_take_back(
    tmp_path, sampler, seed
):
    result = run(tmp_path / "s", 120, polish=60, study={"seed": seed}, sampler={"name": sampler})

    assert len(evaluated(result)) == 120
    assert result.polished.after.cost <= result.polished.before.cost
    assert result.polished.changes_after <= result.polished.changes_before
    assert result.best.cost <= result.polished.after.cost
    assert all(cost > result.best.cost for cost in cost_of_reverts(result))


def test_polishing_takes_a_tenth_of_the_budget_at_most_unless_told_otherwise(tmp_path):
    kept, more = (
        run(tmp_path / name, 60, polish=polish, study={"seed": 2})
        for name, polish in (("kept", True), ("more", 20))
    )

    assert sum(map(is_polish, evaluated(kept))) == 6
    assert 6 < sum(map(is_polish, evaluated(more))) <= 20
    assert not any(map(is_polish, evaluated(kept)[:54]))


def test_a_study_that_does_not_say_is_polished(tmp_path):
    study = fake_study(tmp_path / "s", 60)
    section = study.study.model_copy(update={"polish": None})

    result = run_study(
        study.model_copy(update={"study": section}), network=NETWORK, target=LayeredTarget()
    )

    assert any(map(is_polish, result.trials))


def test_what_polishing_leaves_of_the_budget_is_the_searchs(tmp_path):
    result = run(tmp_path / "s", 300, polish=150, **ANNEALING)

    origins = [is_polish(trial) for trial in evaluated(result)]
    assert origins.index(True) < len(origins) - 1 - origins[::-1].index(False)
    assert all(cost > result.best.cost for cost in cost_of_reverts(result))


def test_limits_stay_met(tmp_path):
    limits = {"sram_bytes": 4700}

    result = run(tmp_path / "s", 120, polish=50, limits=limits, **ANNEALING)

    assert result.polished.after.feasible
    assert result.best.metrics["sram_bytes"] <= 4700
    assert all(cost > result.best.cost for cost in cost_of_reverts(result))


def test_a_study_without_a_feasible_trial_has_nothing_to_polish(tmp_path):
    result = run(tmp_path / "s", 30, limits={"sram_bytes": 1})

    assert result.polished is None
    assert not any(map(is_polish, result.trials))


class OddChanges(Where):
    """Picks configurations with an odd number of changes."""

    def holds(self, configuration, space):
        return len(configuration.difference(space.default)) % 2 == 1


def test_reverts_that_fail_are_not_taken(tmp_path):
    target = FailingTarget(LayeredTarget(), where=OddChanges())

    result = run(tmp_path / "s", 80, polish=30, target=target)

    assert any(trial.failure for trial in result.trials if is_polish(trial))
    assert result.polished.changes_after % 2 == 0
    assert result.polished.after.cost <= result.polished.before.cost


@pytest.mark.parametrize("stop_at", [52, 55, 63])
def test_a_polish_that_is_killed_goes_on_to_the_same_end(tmp_path, stop_at):
    whole = run(tmp_path / "whole", 80, polish=30, **ANNEALING)

    def stop(progress):
        if progress.evaluations >= stop_at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "s", 80, polish=30, listener=stop, **ANNEALING)
    killed = story(read_study(tmp_path / "s"))
    resumed = run(tmp_path / "s", 80, polish=30, **ANNEALING)

    assert len(evaluated(read_study(tmp_path / "s"))) == 80
    assert story(resumed)[: len(killed)] == killed
    assert story(resumed) == story(whole)


@pytest.mark.slow
def test_several_workers_polish_to_a_best_without_free_changes(tmp_path):
    executor = {"executor": {"kind": "process", "workers": 2}}
    study = {"study": {"name": "test", "folder": str(tmp_path / "s"), "polish": 80, "seed": 1}}

    with start_program(
        tmp_path / "s", 160, target=LayeredTarget(), **study, **executor, **ANNEALING
    ) as program:
        wait_until(lambda: program.poll() is not None, patience_s=60.0)
    result = read_study(tmp_path / "s")

    assert len(evaluated(result)) == 160
    assert any(map(is_polish, result.trials))
    assert all(cost > result.best.cost for cost in cost_of_reverts(result))


def test_a_finished_study_is_polished_with_evaluations_of_its_own(tmp_path):
    before = run(tmp_path / "s", 40, polish=False, **ANNEALING)
    study = fake_study(tmp_path / "s", 40, **ANNEALING)

    result = run_study(study, network=NETWORK, target=LayeredTarget(), polish=100)

    assert story(result)[: len(before.trials)] == story(before)
    assert all(map(is_polish, result.trials[len(before.trials) :]))
    assert (result.stopped, result.evaluations_planned) == ("polished", len(evaluated(result)))
    assert all(cost > result.best.cost for cost in cost_of_reverts(result))
    again = run_study(study, network=NETWORK, target=LayeredTarget(), polish=100)
    assert story(again) == story(result)


def test_progress_names_the_phase(tmp_path):
    phases = []

    run(tmp_path / "s", 60, listener=lambda p: phases.append(p.phase is Phase.POLISHING))

    assert phases.count(True) >= 6
    assert phases.count(False) > phases.count(True)
    assert phases[-1] is False


@pytest.mark.parametrize(
    ("sections", "reason"),
    [
        ({"target": NoisyTarget(LayeredTarget())}, "evaluations differ"),
        ({"objective": {"mode": "pareto"}}, "no one best"),
    ],
)
def test_what_cannot_be_polished_is_left_alone_and_refused_where_it_is_asked_for(
    tmp_path, sections, reason
):
    with pytest.raises(UsageError, match=reason):
        run(tmp_path / "s", 20, **sections)

    study = fake_study(tmp_path / "s", 20, **{k: v for k, v in sections.items() if k != "target"})
    section = study.study.model_copy(update={"polish": None})
    result = run_study(
        study.model_copy(update={"study": section}),
        network=NETWORK,
        target=sections.get("target", LayeredTarget()),
    )
    assert not any(map(is_polish, result.trials))


def test_the_labels_of_trials_say_what_was_taken_back(tmp_path):
    result = run(tmp_path / "s", 60, polish=20)

    trials = [trial for trial in result.trials if is_polish(trial)]
    assert all(trial.origin.startswith("polish: without ") for trial in trials)
    before = best_trial(result.trials[: trials[0].number], result.default)
    single = next(t for t in trials if "changes" not in t.origin)
    assert single.origin.removeprefix("polish: without ") in before.configuration
