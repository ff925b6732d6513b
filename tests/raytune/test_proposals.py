from __future__ import annotations

import pickle

import pytest
from fake_targets import Flat, LayeredTarget, fake_network
from optuna.trial import TrialState

from npu_tune.errors import UsageError
from npu_tune.raytune.asked import objective_of
from npu_tune.raytune.proposals import Pause, Proposals
from npu_tune.space import Configuration
from npu_tune.targets.profiles import pack_profile
from npu_tune.tuning.search import new_search
from npu_tune.tuning.sections import SamplerSection


def proposals_for(target, *, layers=2, sampler="random", first=None, **asked):
    problem = target.bind(fake_network(layers))
    objective = objective_of(problem.metrics, **({"metric": "cycles"} | asked))
    search = new_search(SamplerSection(name=sampler), seed=1, problem=problem, objective=objective)
    configurations = [problem.space.default] if first is None else first
    return problem, Proposals(problem, objective, search, iter(configurations))


def finish(problem, proposals, name, configuration):
    evaluation = problem.evaluate(configuration)
    proposals.finish(name, evaluation.metrics, pack_profile(evaluation.profile))


def trials_of(proposals):
    return proposals.search.study.get_trials(deepcopy=False)


def test_no_configuration_goes_out_twice_though_the_sampler_repeats_itself():
    # 2 strategies x 4 blocks x 2 traversals x (1 + 3 stripes of a cascade)
    problem, proposals = proposals_for(LayeredTarget(), layers=1)
    seen, running = [], []
    for number in range(100):
        proposal = proposals.propose(str(number))
        if isinstance(proposal, Configuration):
            seen.append(proposal)
            running.append((str(number), proposal))
        if len(running) == 3 or (running and not isinstance(proposal, Configuration)):
            finish(problem, proposals, *running.pop(0))
    assert len(seen) == len(set(seen)) == 2 * 4 * 2 * 4
    assert proposals.propose("last") is Pause.EXHAUSTED
    repeated = [t for t in trials_of(proposals) if "duplicate_of" in t.user_attrs]
    assert repeated
    originals = {t.number: t for t in trials_of(proposals)}
    for trial in repeated:
        assert trial.values == originals[trial.user_attrs["duplicate_of"]].values


def test_while_all_that_is_left_is_being_evaluated_it_waits():
    problem, proposals = proposals_for(Flat(LayeredTarget()))
    proposed = [proposals.propose(name) for name in "ab"]
    assert proposals.propose("c") is Pause.WAITING
    finish(problem, proposals, "a", proposed[0])
    assert proposals.propose("c") is Pause.WAITING
    finish(problem, proposals, "b", proposed[1])
    assert proposals.propose("c") is Pause.EXHAUSTED
    assert all(trial.state == TrialState.COMPLETE for trial in trials_of(proposals))


def test_profiles_and_limits_reach_the_sampler():
    problem, proposals = proposals_for(LayeredTarget(), limits={"sram_bytes": 4300})
    finish(problem, proposals, "a", proposals.propose("a"))
    (trial,) = trials_of(proposals)
    evaluation = problem.evaluate(problem.space.default)
    assert trial.values == [evaluation.metrics["cycles"]]
    assert dict(trial.user_attrs["profile"]) == pack_profile(evaluation.profile)
    share = evaluation.metrics["sram_bytes"] / 4300 - 1
    assert list(trial.constraints.values()) == [pytest.approx(share)]


def test_several_objectives_are_told_one_by_one():
    problem, proposals = proposals_for(LayeredTarget(), metric=["cycles", "accuracy"])
    finish(problem, proposals, "a", proposals.propose("a"))
    metrics = problem.evaluate(problem.space.default).metrics
    assert trials_of(proposals)[0].values == [metrics["cycles"], metrics["accuracy"]]


@pytest.mark.parametrize("metrics", [{}, {"cycles": float("nan")}, {"cycles": None}])
def test_what_has_no_number_has_failed_and_is_not_proposed_again(metrics):
    _, proposals = proposals_for(Flat(LayeredTarget()))
    for name in "ab":
        proposals.propose(name)
        proposals.finish(name, metrics)
    assert {trial.state for trial in trials_of(proposals)} == {TrialState.FAIL}
    assert proposals.propose("c") is Pause.EXHAUSTED


def test_what_has_failed_may_come_to_a_result_after_all():
    problem, proposals = proposals_for(LayeredTarget())
    configuration = proposals.propose("a")
    proposals.finish("a", {})
    finish(problem, proposals, "a", configuration)
    assert [t.state for t in trials_of(proposals)] == [TrialState.FAIL, TrialState.COMPLETE]


def test_what_was_never_evaluated_may_come_again():
    _, proposals = proposals_for(Flat(LayeredTarget()))
    dropped = proposals.propose("a")
    proposals.drop("a")
    others = [proposals.propose(name) for name in "bc"]
    assert dropped in others


def test_what_the_rules_forbid_is_passed_over():
    target = LayeredTarget(forbidden_block=16)
    problem, proposals = proposals_for(target)
    for number in range(20):
        configuration = proposals.propose(str(number))
        assert 16 not in [v for name, v in configuration.items() if name.endswith("/block")]
        finish(problem, proposals, str(number), configuration)
    assert any(trial.state == TrialState.FAIL for trial in trials_of(proposals))


def test_a_limit_that_cannot_be_kept_is_an_error_that_says_what_to_do():
    _, proposals = proposals_for(LayeredTarget(), limits="sram_bytes<=1 MiB")
    proposals.propose("a")
    with pytest.raises(UsageError, match=r"The limit of 'sram_bytes' cannot be kept.*samples=3"):
        proposals.finish("a", {"cycles": 1.0})


def test_an_outcome_from_elsewhere_is_known():
    problem, proposals = proposals_for(Flat(LayeredTarget()))
    proposals.learn(problem.space.default, problem.evaluate(problem.space.default).metrics)
    assert proposals.propose("a") == problem.space.configuration({"network/strategy": "speed"})


@pytest.mark.parametrize("sampler", ["profile", "tpe", "random", "nsga2"])
def test_a_state_goes_on_as_if_nothing_had_happened(sampler):
    target = LayeredTarget(start_labels=("a",))
    problem, proposals = proposals_for(target, sampler=sampler)
    for number in range(6):
        finish(problem, proposals, str(number), proposals.propose(str(number)))
    open_ones = {name: proposals.propose(name) for name in ("x", "y")}
    state = pickle.loads(pickle.dumps(proposals.state()))  # noqa: S301 - our own
    _, again = proposals_for(target, sampler=sampler)
    again.restore(state)
    assert {name: again.propose(name) for name in open_ones} == open_ones
    for each in (proposals, again):
        for name in ("x", "y", "elsewhere"):
            finish(problem, each, name, open_ones.get(name, problem.space.default))
    assert [t.params for t in trials_of(again)] == [t.params for t in trials_of(proposals)]
    assert again.propose("z") == proposals.propose("z")
