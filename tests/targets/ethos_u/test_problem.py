"""The life of a problem: what it keeps apart, and what it leaves behind."""

from __future__ import annotations

import gc
import weakref

import pytest

from npu_tune.errors import ModelError
from npu_tune.network import read_network
from npu_tune.network.zoo import zoo_network
from npu_tune.targets import Goal, default_objective
from npu_tune.targets.ethos_u.problem import CppCoreProblem, PythonCoreProblem
from npu_tune.targets.garbage import Frozen
from npu_tune.testing import some_configurations


@pytest.fixture
def nothing_else_is_frozen(monkeypatch):
    """Leaves the problems of other tests out of count."""
    monkeypatch.setattr(Frozen, "_held", 0)
    gc.unfreeze()


@pytest.fixture(scope="module")
def autoencoder():
    return zoo_network("autoencoder", format="tflite")


@pytest.mark.usefixtures("nothing_else_is_frozen")
def test_a_closed_problem_leaves_no_memory_behind_while_its_space_is_still_used(u55, resnet8):
    problem = u55.bind(resnet8)
    space = problem.space
    problem.evaluate(space.default)
    graph = weakref.ref(problem._session.graph)
    problem.close()
    gc.collect()
    assert graph() is None
    assert space.effective(space.default) == space.default
    assert gc.get_freeze_count() == 0


def test_a_problem_may_be_closed_twice_and_bound_again(u55, autoencoder):
    found = []
    for _ in range(2):
        with u55.bind(autoencoder) as problem:
            found.append(problem.evaluate(problem.space.default))
        problem.close()
    assert found[0] == found[1]


@pytest.mark.usefixtures("nothing_else_is_frozen")
def test_a_network_that_is_refused_leaves_nothing_open(u55, shared_models):
    network = read_network(shared_models / "tflite" / "mcunet_vww.tflite")
    with pytest.raises(ModelError):
        u55.bind(network)
    assert gc.get_freeze_count() == 0


def test_problems_that_are_open_together_do_not_disturb_one_another(
    u55, u65, resnet8, autoencoder
):
    made = [(u55, resnet8), (u65, resnet8), (u55, autoencoder)]
    alone = []
    for target, network in made:
        with target.bind(network) as problem:
            chosen = some_configurations(problem.space, 4, seed=2)
            alone.append([problem.evaluate(c) for c in chosen])
    together = [target.bind(network) for target, network in made]
    chosen = [some_configurations(problem.space, 4, seed=2) for problem in together]
    found: list[list[object]] = [[], [], []]
    for turn in range(4):
        for number, problem in enumerate(together):
            found[number].append(problem.evaluate(chosen[number][turn]))
        if turn == 2:
            together.pop().close()
            found[2].append(alone[2][3])
    for problem in together:
        problem.close()
    assert found == alone


def test_problems_of_different_networks_or_targets_have_different_keys(
    u55, u65, resnet8, autoencoder
):
    made = [(u55, resnet8), (u65, resnet8), (u55, autoencoder)]
    keys, digests = set(), set()
    for target, network in made:
        with target.bind(network) as problem:
            keys.add(problem.key(problem.space.default))
            digests.add(problem.identity.digest)
    assert len(keys) == len(digests) == len(made)


def test_only_the_same_effective_configuration_has_the_same_key(resnet8_problem):
    space = resnet8_problem.space
    chosen = [space.default, *some_configurations(space, 40, seed=4)]
    effective = {space.effective(configuration) for configuration in chosen}
    assert len({resnet8_problem.key(configuration) for configuration in chosen}) == len(effective)


def test_the_core_is_that_which_compiles_the_network(resnet8_problem):
    assert isinstance(resnet8_problem, PythonCoreProblem)
    assert not isinstance(resnet8_problem, CppCoreProblem)
    assert resnet8_problem.profile.cost == "cycles"
    assert resnet8_problem.profile.group is None


def test_cycles_and_sram_are_the_objectives_and_every_metric_has_a_goal(u55):
    assert default_objective(u55.metrics) == ("full_cycles", "sram_bytes")
    goals = {metric.name: metric.goal for metric in u55.metrics}
    assert goals.pop("npu_share") is Goal.MAXIMIZE
    assert set(goals.values()) == {Goal.MINIMIZE}
    assert [m.stated for m in u55.metrics if m.stated] == ["cycles"]


def test_a_worker_evaluates_a_configuration_without_making_the_search_space(u55, resnet8):
    with u55.bind(resnet8) as here:
        changed = here.space.configuration({"network/strategy": "Size"})
        expected = here.evaluate(changed)
    with u55.bind(resnet8) as there:
        assert there.evaluate(changed) == expected
        assert "space" not in vars(there)
        assert there.evaluate({"network/strategy": "Size"}) == expected
