"""The life of a problem: what it keeps apart, what it leaves behind, and what it is."""

from __future__ import annotations

import gc
import weakref

import pytest

from npu_tune.network.zoo import zoo_network
from npu_tune.targets import Goal, bounding_cause, default_objective, load_target
from npu_tune.targets.neural_art.evaluation import METRICS
from npu_tune.testing import some_configurations

N6 = "neural-art-stm32n6"


@pytest.fixture(scope="module")
def networks():
    return [zoo_network(name) for name in ("resnet8", "st-mnist")]


def varied(accelerators):
    return load_target(N6, {"hardware": {"accelerators": accelerators}})


def test_targets_of_one_name_with_other_hardware_to_choose_have_other_identities(networks):
    problems = [varied(each).bind(networks[0]) for each in ([2, 4], [1, 3], [4], [2, 4, 6])]
    assert len({problem.target.name for problem in problems}) == 1
    assert len({problem.identity.digest for problem in problems}) == len(problems)
    assert len({problem.key(problem.space.default) for problem in problems}) == len(problems)


def test_the_variants_stand_in_the_fingerprint_only_where_there_are_some():
    assert "hardware_variants" not in load_target(N6).fingerprint()
    assert "hardware_variants" not in varied(2).fingerprint()
    variants = {"pools": {"npuRAM3": ["64 KiB", 0]}, "accelerators": [4, 2]}
    text = load_target(N6, {"hardware": variants}).fingerprint()["hardware_variants"]
    assert text == (
        "accelerators = [2, 4], by default 4; pools.npuRAM3 = [0, 65536], by default 65536"
    )


def test_the_order_in_which_variants_are_given_makes_no_difference():
    given = {"npuRAM3": [0, 65536], "cpuRAM2": [0, 65536]}
    texts = {
        load_target(N6, {"hardware": {"pools": pools}}).fingerprint()["hardware_variants"]
        for pools in (given, dict(reversed(given.items())))
    }
    assert len(texts) == 1


def test_only_the_same_effective_configuration_has_the_same_key(networks):
    with varied([1, 2, 4]).bind(networks[0]) as problem:
        space = problem.space
        chosen = [space.default, *some_configurations(space, 60, seed=4)]
        effective = {space.effective(configuration) for configuration in chosen}
        keys = {problem.key(configuration) for configuration in chosen}
    assert len(keys) == len(effective)


def test_problems_that_are_open_together_do_not_disturb_one_another(networks):
    made = [(target, n) for target in (load_target(N6), varied([1, 2])) for n in networks]
    alone = []
    for target, network in made:
        with target.bind(network) as problem:
            chosen = some_configurations(problem.space, 20, seed=2)
            alone.append([problem.evaluate(c).metrics for c in chosen])
    together = [target.bind(network) for target, network in made]
    chosen = [some_configurations(problem.space, 20, seed=2) for problem in together]
    found = [[] for _ in together]
    for turn in range(20):
        for number, problem in enumerate(together):
            found[number].append(problem.evaluate(chosen[number][turn]).metrics)
    assert found == alone


def test_a_closed_problem_remembers_nothing_of_its_configurations(networks):
    problem = load_target(N6).bind(networks[0])
    problem.evaluate(problem.space.default)
    scheduler = weakref.ref(problem.compiler.scheduler(problem.space.default))
    problem.close()
    gc.collect()
    assert scheduler() is None
    graph = weakref.ref(problem.compiler)
    del problem
    gc.collect()
    assert graph() is None


def test_a_network_can_be_bound_again_after_its_problem_was_closed(networks):
    target, found = load_target(N6), []
    for _ in range(2):
        with target.bind(networks[0]) as problem:
            found.append((problem.identity, problem.evaluate(problem.space.default)))
        problem.close()
    assert found[0] == found[1]


def test_latency_and_ram_are_the_objectives_and_all_but_counts_of_epochs_have_a_goal():
    assert default_objective(METRICS) == ("latency_ms", "ram_bytes")
    goals = {metric.name: metric.goal for metric in METRICS}
    assert {goals.pop(name) for name in ("hardware_epochs", "software_epochs")} == {None}
    assert set(goals.values()) == {Goal.MINIMIZE}


@pytest.mark.parametrize("rule", ["calibrated", "vendor"])
def test_the_causes_of_a_layer_add_up_to_what_it_costs(rule):
    with load_target(N6, {"rule": rule}).bind(zoo_network("resnet8")) as problem:
        chosen = [problem.space.default, *some_configurations(problem.space, 6, seed=4)]
        rows = [row for each in chosen for row in problem.evaluate(each).profile.values()]
    assert set(problem.profile.causes) <= set(rows[0])
    for row in rows:
        busy = max(row["units_cycles"], row["ram_cycles"], row["flash_cycles"])
        found = busy + row["fixed_cycles"] + row["wait_cycles"]
        assert found == pytest.approx(row["cycles"])


def test_layers_that_run_as_one_have_the_same_cause():
    with load_target(N6).bind(zoo_network("resnet8")) as problem:
        profile = problem.evaluate(problem.space.default).profile
        found = {name: bounding_cause(problem.profile, row) for name, row in profile.items()}
    # Weights of the shortcut come from flash for longer than either unit takes by itself.
    shortcut, addition = profile["stage3/shortcut"], profile["stage3/add/linear"]
    assert shortcut["epoch"] == addition["epoch"]
    assert shortcut["compute_cycles"] > shortcut["flash_cycles"]
    assert found["stage3/shortcut"] == found["stage3/add/linear"] == "flash"
    assert found["stage1/conv1/linear"] == "compute"
    assert found["image/load"] == "RAM"
    assert found["probabilities"] == "fixed cost"
