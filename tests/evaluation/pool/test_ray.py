from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys

import pytest
from evaluations import CHANGED, NETWORK, evaluate, next_finished, submit
from fake_studies import fake_study, run_fake, story
from fake_targets import (
    Acting,
    Counting,
    CrashingTarget,
    HangingTarget,
    LayeredTarget,
    Meeting,
    MeetingPlace,
    Unready,
    Waiting,
    Where,
    find_what_was_brought,
    is_running,
    parent_of,
    take_much,
    wait_until,
)

from npu_tune.errors import ExecutorError, NpuTuneWarning
from npu_tune.evaluation.pool import ray as ray_pool
from npu_tune.evaluation.pool.ray import RayPool
from npu_tune.evaluation.pool.ray_cluster import RayConnection, worker_start_error
from npu_tune.evaluation.pool.ray_needs import WorkerNeeds
from npu_tune.tuning import run_study

pytestmark = [pytest.mark.ray, pytest.mark.slow]


@pytest.fixture
def cluster():
    """An empty cluster on this machine; nodes are processes."""
    from ray.cluster_utils import Cluster

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # A lost node is noticed after a second instead of half a minute.
    watchful = {
        "health_check_initial_delay_ms": 0,
        "health_check_period_ms": 500,
        "health_check_failure_threshold": 2,
    }
    head = {"num_cpus": 0, "include_dashboard": False, "_system_config": watchful}
    made = Cluster(initialize_head=True, head_node_args=head)
    yield made
    made.shutdown()


def test_a_local_ray_is_started_and_ended_and_runs_as_many_as_asked(tmp_path):
    import ray

    target = Meeting(address=str(tmp_path / "socket"))
    with MeetingPlace(tmp_path / "socket", 2) as place:
        result = run_fake(tmp_path / "s", 5, target=target, executor={"kind": "ray", "workers": 2})

    assert [len(set(group)) for group in place.groups] == [2, 2]
    assert not any(trial.failure for trial in result.trials)
    assert not ray.is_initialized()


def test_an_existing_cluster_is_used_over_several_nodes(tmp_path, cluster):
    for _ in range(2):
        cluster.add_node(num_cpus=1)
    target = Meeting(address=str(tmp_path / "socket"))
    with MeetingPlace(tmp_path / "socket", 2) as place:
        study = fake_study(
            tmp_path / "s",
            5,
            executor={"kind": "ray", "workers": 2, "address": cluster.address},
        )
        result = run_study(study, network=NETWORK, target=target)

    assert [len(set(group)) for group in place.groups] == [2, 2]
    assert not any(trial.failure for trial in result.trials)


def test_a_memory_limit_holds_on_the_machines_of_a_cluster(tmp_path, cluster):
    cluster.add_node(num_cpus=1)
    hungry = Acting(act=take_much, folder=tmp_path)
    with RayPool(
        workers=1, timeout_s=60.0, memory_limit=2**29, address=cluster.address
    ) as workers:
        assert evaluate(workers, hungry, CHANGED[0]).answer.error.failure == "out-of-memory"
        assert evaluate(workers, LayeredTarget(), CHANGED[0]).answer.error is None


def test_the_work_begins_with_the_workers_that_have_room_and_the_others_join(tmp_path, cluster):
    cluster.add_node(num_cpus=1)
    with RayPool(workers=2, timeout_s=300.0, address=cluster.address) as pool:
        with pytest.warns(NpuTuneWarning, match="1 of 2 workers have room"):
            submit(pool, LayeredTarget(), CHANGED[0])
        assert next_finished(pool).answer.error is None
        assert pool.free == 1
        cluster.add_node(num_cpus=1)
        # Whoever waits for answers hears of workers that are there now, too.
        wait_until(lambda: pool.wait(0.1) is None and pool.free == 2)


def test_a_cluster_without_room_for_any_worker_is_an_error_that_says_what_they_need(cluster):
    cluster.add_node(num_cpus=1, resources={"board": 1})
    needs = WorkerNeeds(resources={"board": 2})

    with (
        RayPool(
            workers=2,
            timeout_s=60.0,
            address=cluster.address,
            start_timeout_s=8.0,
            needs=needs,
        ) as pool,
        pytest.raises(
            ExecutorError, match=r"room for 0 of 2 workers.* board = 2 each: .*board = 1 t"
        ) as caught,
    ):
        submit(pool, LayeredTarget(), CHANGED[0])

    assert caught.value.data == {"room": 0, "workers": 2}


def test_a_worker_runs_on_a_node_that_has_the_resource_it_needs_and_holds_it(cluster):
    import ray

    cluster.add_node(num_cpus=1)
    cluster.add_node(num_cpus=1, resources={"board": 1})
    needs = WorkerNeeds(resources={"board": 1})
    with RayPool(workers=1, timeout_s=60.0, address=cluster.address, needs=needs) as pool:
        assert evaluate(pool, LayeredTarget(), CHANGED[0]).answer.error is None
        wait_until(lambda: ray.available_resources().get("board", 0) == 0)


def test_what_was_lost_with_its_node_is_evaluated_on_another(tmp_path, cluster):
    from ray.util import list_named_actors

    first = cluster.add_node(num_cpus=1)
    with RayPool(workers=1, timeout_s=300.0, address=cluster.address) as pool:
        submit(pool, Waiting(folder=tmp_path), CHANGED[0], 3)
        wait_until((tmp_path / "begun").exists)
        (named,) = list_named_actors(all_namespaces=True)
        assert named["name"].startswith("npu-tune: fake on fake-npu ")
        pid = int((tmp_path / "begun").read_text())
        (tmp_path / "go").touch()
        cluster.remove_node(first, allow_graceful=False)
        cluster.add_node(num_cpus=1)
        finished = next_finished(pool)

    assert finished.ticket == 3
    assert finished.answer.error is None
    here = LayeredTarget().evaluate(NETWORK, CHANGED[0])
    assert finished.answer.evaluation.metrics == dict(here.metrics)
    assert not is_running(pid)


def test_an_actor_that_is_stopped_is_replaced_and_its_task_tried_again(tmp_path, monkeypatch):
    monkeypatch.setattr(ray_pool, "LEEWAY_S", 4.0)
    with RayPool(workers=1, timeout_s=0.5) as pool:
        evaluate(pool, LayeredTarget(), CHANGED[0])
        submit(pool, Acting(act=stop_the_actor_once, folder=tmp_path), CHANGED[0], 3)
        finished = next_finished(pool)

    assert finished.ticket == 3
    assert finished.answer.error is None


def stop_the_actor_once(folder):
    if not (folder / "stopped").exists():
        (folder / "stopped").touch()
        actor = os.getpid()
        for _ in range(3):  # a worker has two guards
            actor = parent_of(actor)
        os.kill(actor, signal.SIGSTOP)


def test_a_cluster_that_stays_without_room_is_an_error(tmp_path, cluster):
    node = cluster.add_node(num_cpus=1)
    with RayPool(
        workers=1, timeout_s=300.0, address=cluster.address, start_timeout_s=20.0
    ) as pool:
        submit(pool, Waiting(folder=tmp_path), CHANGED[0], 3)
        wait_until((tmp_path / "begun").exists)
        cluster.remove_node(node, allow_graceful=False)
        with pytest.raises(ExecutorError, match="no room for new ones"):
            next_finished(pool)
        assert pool.free == 0


def test_a_crash_and_a_hang_cost_an_outcome_but_no_actor(tmp_path):
    target = CrashingTarget(
        HangingTarget(where=Where("layer0/block", 24), pid_file=tmp_path / "pids"),
        where=Where("layer0/block", 16),
    )
    with RayPool(workers=1, timeout_s=2.0) as pool:
        outcomes = [evaluate(pool, target, configuration).answer for configuration in CHANGED]

    assert [o.error and o.error.failure for o in outcomes] == ["crash", "timeout", None]
    assert outcomes[0].error.message.endswith("It did so 2 times.")
    assert not any(is_running(int(pid)) for pid in (tmp_path / "pids").read_text().split())


RAY_ENDS = """
import os, signal, sys
from pathlib import Path

from npu_tune.errors import ExecutorError, NpuTuneWarning
from npu_tune.evaluation.pool.ray import RayPool
from evaluations import CHANGED, next_finished, submit
from fake_targets import Waiting, is_running, wait_until

folder = Path(sys.argv[1])
with RayPool(workers=1, timeout_s=300.0) as pool:
    submit(pool, Waiting(folder=folder), CHANGED[0])
    wait_until((folder / "begun").exists)
    pid = int((folder / "begun").read_text())
    os.kill(pool._connection._local._child.pid, signal.SIGKILL)
    wait_until(lambda: not is_running(pid))
    try:
        next_finished(pool)
    except ExecutorError as error:
        print(error.message)
"""


def test_a_local_ray_that_has_ended_is_noticed_before_ray_ends_this_process(tmp_path):
    # In a process of its own, which Ray ends a minute after its cluster whatever was shut down.
    ended = subprocess.run(
        [sys.executable, "-c", RAY_ENDS, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Ray has ended on this machine" in ended.stdout, ended.stderr


def test_workers_that_are_killed_while_they_start_are_replaced_but_not_for_ever(tmp_path):
    (tmp_path / "once").mkdir()
    (tmp_path / "always").mkdir()
    with RayPool(workers=1, timeout_s=60.0) as pool:
        once = evaluate(pool, Unready(folder=tmp_path / "once", times=1), CHANGED[0]).answer
        submit(pool, Unready(folder=tmp_path / "always", times=1000), CHANGED[0])
        with pytest.raises(ExecutorError, match=r"killed by SIGKILL.*memory"):
            next_finished(pool)

    assert once.error is None


def test_an_actor_takes_on_another_problem(tmp_path):
    targets = [Counting(LayeredTarget(layer_cycles=c), tmp_path / "log") for c in (1e3, 2e3, 1e3)]
    with RayPool(workers=1, timeout_s=60.0) as pool:
        found = [evaluate(pool, target, CHANGED[0]).answer for target in targets]

    cycles = [outcome.evaluation.metrics["cycles"] for outcome in found]
    assert cycles[0] == cycles[2] < cycles[1]
    assert len({line.split()[0] for line in (tmp_path / "log").read_text().splitlines()}) == 1


def test_a_serial_study_is_the_same_on_ray_as_in_this_process(tmp_path):
    sampler = {"name": "layerwise"}
    on_ray = run_fake(tmp_path / "r", 15, sampler=sampler, executor={"kind": "ray", "workers": 1})

    assert story(on_ray) == story(run_fake(tmp_path / "i", 15, sampler=sampler))


def test_ray_leaves_the_signal_handlers_alone(tmp_path):
    handlers = []

    def look(progress):
        if not progress.phase.is_opening:  # from there on the study listens to signals
            handlers.append(signal.getsignal(signal.SIGTERM))

    run_fake(tmp_path / "s", 2, executor={"kind": "ray", "workers": 1}, listener=look)

    assert handlers[-1] is handlers[0]


def test_a_cluster_that_is_not_there_is_an_error():
    with (
        RayPool(workers=1, timeout_s=1.0, address="127.0.0.1:1") as pool,
        pytest.raises(ExecutorError, match="Cannot connect"),
    ):
        submit(pool, LayeredTarget(), CHANGED[0])


def test_a_worker_finds_what_its_environment_brings_from_this_machine(tmp_path):
    brought = tmp_path / "brought"
    brought.mkdir()
    (brought / "brought_along.py").touch()
    needs = WorkerNeeds(runtime_env={"working_dir": str(brought), "env_vars": {"BROUGHT": "yes"}})
    with RayPool(workers=1, timeout_s=60.0, needs=needs) as pool:
        target = Acting(act=find_what_was_brought, folder=tmp_path)
        assert evaluate(pool, target, CHANGED[0]).answer.error is None

    assert (tmp_path / "found").read_text() == "yes"


def test_an_environment_that_cannot_be_made_is_an_error_that_says_why_not(tmp_path):
    needs = WorkerNeeds(runtime_env={"working_dir": f"file://{tmp_path}/missing.zip"})
    with (
        RayPool(workers=1, timeout_s=60.0, needs=needs) as pool,
        pytest.raises(ExecutorError, match=r"cannot make the environment.*missing\.zip"),
    ):
        submit(pool, LayeredTarget(), CHANGED[0])


def test_a_cluster_may_be_given_the_time_that_it_needs_to_start_a_machine(tmp_path, cluster):
    executor = {"kind": "ray", "workers": 1, "address": cluster.address, "start_timeout_s": 0.5}
    with pytest.raises(ExecutorError, match="room for 0 of 1 workers") as refusal:
        run_fake(tmp_path / "s", 2, executor=executor)
    assert "more time" in refusal.value.remedy


def test_an_actor_that_cannot_start_on_its_node_is_an_error_that_says_what_is_missing():
    class Incomplete:
        def __init__(self):
            importlib.import_module("nothing_of_this_name")

        def ready(self):
            pass

    with RayConnection(None, processors=1, needs=WorkerNeeds()) as connection:
        ray = connection.ray
        with pytest.raises(ray.exceptions.RayActorError) as caught:
            ray.get(ray.remote(Incomplete).remote().ready.remote())
        error = worker_start_error(caught.value)

    assert "No module named 'nothing_of_this_name'." in str(error)
    assert "Install npu-tune" in error.remedy


@pytest.mark.parametrize(
    ("needs", "said"),
    [
        ({"runtime_env": {"pip": 3}}, "'pip'"),
        ({"runtime_env": {"working_dir": "missing"}}, "missing is not a valid path"),
        ({"runtime_env": {"config": {"setup_timeout_seconds": "x"}}}, "setup_timeout_seconds"),
        ({"resources": {"CPU": 1}}, "num_cpus"),
        ({"resources": {"memory": 1}}, "memory"),
    ],
)
def test_what_ray_does_not_take_is_refused_before_it_starts(tmp_path, needs, said):
    with pytest.raises(ExecutorError, match=said) as refusal:
        run_fake(tmp_path / "s", 2, executor={"kind": "ray", "workers": 1, **needs})
    assert "leave it out" in refusal.value.remedy
    assert not ray_was_started()


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, 0.0),
        ({"pip": ["numpy"]}, 600.0),
        ({"pip": ["numpy"], "config": {"setup_timeout_seconds": 90}}, 90.0),
        ({"pip": ["numpy"], "config": {"setup_timeout_seconds": -1}}, 86_400.0),
    ],
)
def test_an_environment_is_waited_for_as_long_as_ray_makes_it(environment, seconds):
    assert WorkerNeeds(runtime_env=environment).setup_timeout_s == seconds


def test_a_custom_resource_that_a_local_ray_does_not_have_is_refused_before_it_starts(tmp_path):
    executor = {"kind": "ray", "workers": 1, "resources": {"board": 1}}
    with pytest.raises(ExecutorError, match=r"no resource 'board'") as refusal:
        run_fake(tmp_path / "s", 2, executor=executor)
    assert "auto" in refusal.value.remedy
    assert not ray_was_started()


def ray_was_started() -> bool:
    ray = sys.modules.get("ray")
    return ray is not None and ray.is_initialized()
