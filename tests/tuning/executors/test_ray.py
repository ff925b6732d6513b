from __future__ import annotations

import os
import signal

import pytest
from fake_studies import fake_study, run_fake, story
from fake_targets import (
    Crashing,
    Hanging,
    LayeredTarget,
    Meeting,
    MeetingPlace,
    Waiting,
    Where,
    fake_network,
    is_running,
    wait_until,
)

from npu_tune.errors import ExecutorError
from npu_tune.tuning import run_study
from npu_tune.tuning.executors.payload import pack
from npu_tune.tuning.executors.ray import RayExecutor
from npu_tune.tuning.executors.retry import RetryingExecutor

pytestmark = [pytest.mark.ray, pytest.mark.slow]

NETWORK = fake_network()
SPACE = LayeredTarget().space(NETWORK)
CHANGED = [SPACE.configuration({"layer0/block": 8 * (i + 2)}) for i in range(3)]


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


def next_outcome(executor):
    while True:
        outcome = executor.wait(10.0)
        if outcome is not None:
            return outcome


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


def test_a_cluster_that_is_too_small_is_an_error_that_says_so(cluster):
    cluster.add_node(num_cpus=1)
    payload = pack(LayeredTarget(), NETWORK)

    with (
        RayExecutor(
            payload, workers=2, timeout_s=60.0, address=cluster.address, start_timeout_s=8.0
        ) as executor,
        pytest.raises(ExecutorError, match="room for 1 of 2 workers") as caught,
    ):
        executor.submit(0, CHANGED[0])

    assert caught.value.data == {"room": 1, "workers": 2}


def test_what_was_lost_with_its_node_is_evaluated_on_another(tmp_path, cluster):
    first = cluster.add_node(num_cpus=1)
    target = Waiting(folder=tmp_path)
    executor = RetryingExecutor(
        RayExecutor(pack(target, NETWORK), workers=1, timeout_s=300.0, address=cluster.address)
    )
    with executor:
        executor.submit(3, CHANGED[0])
        wait_until((tmp_path / "begun").exists)
        pid = int((tmp_path / "begun").read_text())
        (tmp_path / "go").touch()
        cluster.remove_node(first, allow_graceful=False)
        cluster.add_node(num_cpus=1)
        outcome = next_outcome(executor)

    assert outcome.ticket == 3
    assert outcome.error is None
    assert outcome.evaluation.metrics == dict(
        LayeredTarget().evaluate(NETWORK, CHANGED[0]).metrics
    )
    assert not is_running(pid)


def test_a_cluster_that_stays_without_room_is_an_error(tmp_path, cluster):
    node = cluster.add_node(num_cpus=1)
    target = Waiting(folder=tmp_path)
    with RayExecutor(
        pack(target, NETWORK),
        workers=1,
        timeout_s=300.0,
        address=cluster.address,
        start_timeout_s=20.0,
    ) as executor:
        executor.submit(3, CHANGED[0])
        wait_until((tmp_path / "begun").exists)
        cluster.remove_node(node, allow_graceful=False)
        assert next_outcome(executor).error.failure == "infrastructure"
        assert executor.free == 0
        with pytest.raises(ExecutorError, match="no room for new ones"):
            next_outcome(executor)


def test_a_crash_and_a_hang_cost_an_outcome_but_no_actor(tmp_path):
    target = Crashing(
        Hanging(where=Where("layer0/block", 24), pid_file=tmp_path / "pids"),
        where=Where("layer0/block", 16),
    )
    with RayExecutor(pack(target, NETWORK), workers=1, timeout_s=2.0) as executor:
        outcomes = []
        for ticket, configuration in enumerate(CHANGED):
            executor.submit(ticket, configuration)
            outcomes.append(next_outcome(executor))

    assert [o.error and o.error.failure for o in outcomes] == ["crash", "timeout", None]
    assert not any(is_running(int(pid)) for pid in (tmp_path / "pids").read_text().split())


def test_a_serial_study_is_the_same_on_ray_as_in_this_process(tmp_path):
    sampler = {"name": "layerwise"}
    on_ray = run_fake(tmp_path / "r", 15, sampler=sampler, executor={"kind": "ray", "workers": 1})

    assert story(on_ray) == story(run_fake(tmp_path / "i", 15, sampler=sampler))


def test_ray_leaves_the_signal_handlers_alone(tmp_path):
    handlers = []

    def look(progress):
        handlers.append(signal.getsignal(signal.SIGTERM))

    run_fake(tmp_path / "s", 2, executor={"kind": "ray", "workers": 1}, listener=look)

    assert handlers[-1] is handlers[0]


def test_a_cluster_that_is_not_there_is_an_error():
    with (
        RayExecutor(b"", workers=1, timeout_s=1.0, address="127.0.0.1:1") as executor,
        pytest.raises(ExecutorError, match="Cannot connect"),
    ):
        executor.submit(0, CHANGED[0])
