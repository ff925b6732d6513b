from __future__ import annotations

import json
import os
import signal
from dataclasses import replace

import pandas as pd
import pytest
from fake_targets import (
    Counting,
    CrashingTarget,
    FailingTarget,
    HangingTarget,
    LayeredTarget,
    NoisyTarget,
    Waiting,
    Where,
    fake_network,
    wait_until,
)

from npu_tune.compare import analyse, run_comparison, write_output
from npu_tune.compare.file.config import ComparedObjective, ComparedSampler
from npu_tune.compare.runs.recording import ProblemName, RunName
from npu_tune.compare.runs.run import RunOrder, perform_run
from npu_tune.compare.runs.task import RunTask
from npu_tune.errors import (
    EvaluationError,
    ExecutorError,
    ModelError,
    StudyMismatchError,
    TargetError,
    UsageError,
    WorkerLostError,
)
from npu_tune.evaluation.pool import Binding
from npu_tune.evaluation.pool.attempts import LOSSES
from npu_tune.evaluation.pool.process import ProcessPool
from npu_tune.evaluation.store import Store

SPEED = Where("network/strategy", "speed")


def rows(result):
    """What was found; what took how long, and who evaluated it first, differ from run to run."""
    return [(run.name, run.rows.drop(columns="cached").to_csv()) for run in result.recording.runs]


def written(result, folder):
    paths = write_output(analyse(result), folder)
    return {path.relative_to(folder): path.read_bytes() for path in paths}


def order(sampler="random", seed=0, evaluations=12, options=None, **more):
    name = RunName(ProblemName("net", "npu", "weighted"), sampler, seed)
    return RunOrder(
        *(name, "", ComparedSampler(name=sampler, **(options or {})), ComparedObjective()),
        *(evaluations, 50),
        **more,
    )


def watch_nothing(key):
    pass


def run(target, folder, **asked):
    with (
        Store(folder / "store.sqlite") as store,
        target.bind(fake_network(3)) as problem,
    ):
        ended = perform_run(order(**asked), problem, store, verdicts={}, watch=watch_nothing)
    return ended.runs[0]


def test_every_sampler_gets_the_default_first_and_the_whole_budget(comparison):
    result = run_comparison(comparison())
    assert len(result.recording.runs) == 4
    firsts = {tuple(run.rows[["cycles", "sram_bytes"]].iloc[0]) for run in result.recording.runs}
    assert len(firsts) == 1
    assert {len(run.rows) for run in result.recording.runs} == {8}


def test_the_targets_proposals_are_given_to_everyone_only_on_request(tmp_path):
    target = LayeredTarget(start_labels=("a", "b"))
    one, two = (run(target, tmp_path, seed=seed, starts=True) for seed in (0, 1))
    assert one.rows["cycles"][:3].tolist() == two.rows["cycles"][:3].tolist()
    plain = run(target, tmp_path)
    assert plain.rows["cycles"][1] != one.rows["cycles"][1]


def test_an_evaluation_of_another_run_counts_but_is_not_made_again(tmp_path):
    target = Counting(log=tmp_path / "log")
    first = run(target, tmp_path)
    evaluated = len((tmp_path / "log").read_text().splitlines())
    again = run(target, tmp_path)
    assert len((tmp_path / "log").read_text().splitlines()) == evaluated == 12
    assert not first.rows["cached"].any()
    assert again.rows["cached"].all()
    assert len(again.rows) == 12
    pd.testing.assert_frame_equal(
        first.rows.drop(columns="cached"), again.rows.drop(columns="cached")
    )


def test_a_space_that_is_used_up_ends_the_run_before_its_budget(tmp_path):
    target = LayeredTarget(blocks=1)
    ended = run(target, tmp_path, evaluations=100_000)
    assert ended.stopped == "search space exhausted"
    assert ended.duplicates > 0


def test_a_resumed_comparison_equals_an_uninterrupted_one(comparison):
    class StopError(Exception):
        pass

    def stop(standing):
        if standing.finished == 2:
            raise StopError

    with pytest.raises(StopError):
        run_comparison(comparison(), listener=stop)
    standings = []
    resumed = run_comparison(comparison(), listener=standings.append)
    assert (standings[0].recorded, standings[-1].finished) == (2, 4)
    whole = run_comparison(comparison(compare={"evaluations": 8, "seeds": 2, "folder": "other"}))
    assert rows(resumed) == rows(whole)


def test_a_finished_comparison_is_not_performed_again(comparison, here):
    first = run_comparison(comparison())
    for path in (here / "kept" / "cache").iterdir():
        path.unlink()
    assert rows(run_comparison(comparison())) == rows(first)
    assert list((here / "kept" / "cache").iterdir()) == []


def test_a_replay_regenerates_the_same_files_without_target_or_network(comparison, here):
    first = run_comparison(comparison())
    files = written(first, here / "first")
    gone = {"network": [{"path": "gone.onnx", "label": "net"}]}
    gone["target"] = [{"name": "gone", "label": "fake-npu"}]
    replayed = comparison(**gone).relocate(replay=here / "kept", folder=here / "replayed")
    assert written(run_comparison(replayed), here / "second") == files
    only_file = comparison(**gone).relocate(
        replay=here / "kept" / "results.parquet", folder=here / "third"
    )
    assert rows(run_comparison(only_file)) == rows(first)


def test_a_replay_performs_what_the_stored_evaluations_allow(comparison, here):
    run_comparison(comparison())
    twice = [{"name": "random"}, {"name": "random", "label": "same"}]
    replayed = comparison(sampler=twice).relocate(replay=here / "kept", folder=here / "replayed")
    result = run_comparison(replayed)
    assert {run.name.sampler for run in result.recording.runs} == {"random", "same"}
    assert all(
        run.rows["cached"].all() for run in result.recording.runs if run.name.sampler == "same"
    )


def test_a_replay_that_needs_what_was_not_recorded_says_so(comparison, here):
    run_comparison(comparison())
    unheard_of = {"name": "tpe", "n_startup_trials": 1}
    more = comparison(sampler=[{"name": "random"}, unheard_of])
    result = run_comparison(more.relocate(replay=here / "kept", folder=here / "replayed"))
    assert "was not recorded" in result.failures[0][1].message
    for path in (here / "kept" / "cache").iterdir():
        path.unlink()
    (here / "kept" / "cache").rmdir()
    with pytest.raises(UsageError, match="lacks 2 runs, such as that of tpe, seed 0"):
        run_comparison(more.relocate(replay=here / "kept", folder=here / "again"))


def test_a_recording_with_another_budget_is_refused(comparison, here):
    run_comparison(comparison())
    other = comparison(compare={"evaluations": 9, "seeds": 2})
    with pytest.raises(StudyMismatchError, match="another budget"):
        run_comparison(other.relocate(replay=here / "kept", folder=here / "replayed"))


def test_a_folder_with_runs_of_another_compiler_is_refused(comparison):
    run_comparison(comparison())
    with pytest.raises(StudyMismatchError, match="compiler"):
        run_comparison(comparison(target=[{"name": "fake-npu", "version": "2"}]))


@pytest.mark.parametrize(
    ("tables", "kind", "said"),
    [
        ({"sampler": [{"name": "tpee"}]}, UsageError, "'tpee'.*Did you mean 'tpe'"),
        ({"sampler": [{"name": "tpe", "nonsense": 1}]}, UsageError, "sampler.nonsense"),
        ({"network": [{"path": "no-such"}]}, ModelError, "no-such"),
        ({"target": [{"name": "no-such"}]}, TargetError, "no-such"),
        ({"objective": {"metrics": ["cicles"]}}, UsageError, "'cicles'"),
        (
            {"target": [{"name": "fake-lone"}], "objective": {"mode": "pareto"}},
            UsageError,
            "needs several metrics, and fake-npu has one",
        ),
        (
            {"target": [{"name": "fake-flat"}]},
            UsageError,
            "'layerwise' walks layers, and no layer",
        ),
    ],
)
def test_what_does_not_exist_is_refused_before_anything_runs(comparison, here, tables, kind, said):
    with pytest.raises(kind, match=said):
        run_comparison(comparison(**tables))
    assert not (here / "kept").exists()


def test_a_network_that_the_target_refuses_ends_the_comparison(comparison, here):
    (here / "float.onnx").write_bytes(b"no model")
    with pytest.raises(ModelError, match="'float'"):
        run_comparison(comparison(network=[{"path": "float.onnx"}]))


def test_a_default_that_cannot_be_compiled_is_told(comparison):
    with pytest.raises(EvaluationError, match="default configuration cannot be evaluated"):
        run_comparison(comparison(target=[{"name": "fake-broken"}]))


def test_one_target_that_fails_does_not_take_the_others_along(comparison):
    both = [{"name": "fake-npu"}, {"name": "fake-broken", "version": "2"}]
    result = run_comparison(comparison(target=both))
    assert len(result.recording.runs) == len(result.failures) == 4


def test_runs_with_all_seeds_are_found_again_by_a_sampler_with_fewer(comparison):
    def asked(**more):
        samplers = [{"name": "random"}, {"name": "layerwise", **more}]
        return comparison(compare={"evaluations": 8, "seeds": 3}, sampler=samplers)

    standings = []
    fewer = run_comparison(asked(seeds=[1]), listener=standings.append)
    assert standings[0].planned == 4
    more = run_comparison(asked(), listener=standings.append)
    assert (standings[-1].recorded, standings[-1].planned) == (4, 6)
    assert set(rows(fewer)) < set(rows(more))


def test_worker_processes_find_what_one_process_finds(comparison):
    inline = run_comparison(comparison())
    asked = {"evaluations": 8, "seeds": 2, "folder": "processes"}
    processes = comparison(compare=asked, executor={"kind": "process", "workers": 2})
    assert rows(run_comparison(processes)) == rows(inline)


def finished(pool, task, target, network=None):
    binding = Binding.of(target.bind(network or fake_network(2)))
    pool.submit(0, task, binding)
    return next_finished(pool)


def next_finished(pool):
    while True:
        ended = pool.wait(0.1)
        if ended is not None:
            return ended.answer


def stored(path, target):
    """Failures in a store, by key, of the configurations with the changed strategy."""
    problem = target.bind(fake_network(2))
    default = problem.space.default
    speed = default.replace({"network/strategy": "speed"})
    with Store(path) as store:
        return store.find(problem.key(default)), store.find(problem.key(speed))


@pytest.mark.parametrize(
    ("target", "failure"),
    [
        (CrashingTarget(where=SPEED), "crash"),
        (HangingTarget(where=SPEED), "timeout"),
    ],
)
@pytest.mark.parametrize("keep", [True, False])
def test_a_crash_or_a_hang_costs_one_evaluation(tmp_path, target, failure, keep):
    task = RunTask(order(evaluations=4), tmp_path / "store.sqlite" if keep else None)
    with ProcessPool(workers=1, timeout_s=1.0) as pool:
        ended = finished(pool, task, target)
    failures = ended.recording.runs[0].rows["failure"]
    assert len(failures) == 4
    assert set(failures) == {"", failure}


def test_what_crashes_its_worker_every_time_is_tried_twice_in_a_run_and_never_stored(tmp_path):
    # Two levels of wrapping: what is counted is every try, also the one that crashes.
    target = Counting(CrashingTarget(where=SPEED), tmp_path / "log")
    path = tmp_path / "store.sqlite"
    with ProcessPool(workers=1, timeout_s=60.0) as pool:
        first = finished(pool, RunTask(order(evaluations=4), path), target)
        tries = [line for line in target.log.read_text().splitlines() if "speed" in line]
        again = finished(pool, RunTask(order(evaluations=4), path), target)

    failures = first.recording.runs[0].rows["failure"].tolist()
    assert "crash" in failures
    assert len(tries) == 2 * failures.count("crash")
    # Another run tries it again for itself, and finds the rest in the store.
    assert again.recording.runs[0].rows["failure"].tolist() == failures
    assert again.recording.runs[0].rows["cached"].tolist() == [not f for f in failures]
    lines = [line for line in target.log.read_text().splitlines() if "speed" in line]
    assert len(lines) == 2 * len(tries)


def test_a_refusal_of_the_compiler_is_stored_for_every_run(tmp_path):
    target = Counting(FailingTarget(where=SPEED), tmp_path / "log")
    first = run(target, tmp_path)
    lines = target.log.read_text()
    again = run(target, tmp_path)

    assert "compiler-error" in set(first.rows["failure"])
    assert again.rows["cached"].all()
    assert target.log.read_text() == lines


def test_a_worker_killed_once_from_outside_costs_nothing(tmp_path):
    whole = run(LayeredTarget(), tmp_path, evaluations=8)
    target = Waiting(folder=tmp_path)
    with ProcessPool(workers=1, timeout_s=300.0) as pool:
        binding = Binding.of(target.bind(fake_network(3)))
        pool.submit(0, RunTask(order(evaluations=8), tmp_path / "other.sqlite"), binding)
        wait_until((tmp_path / "begun").exists)
        (tmp_path / "go").touch()
        os.kill(int((tmp_path / "begun").read_text()), signal.SIGKILL)
        ended = next_finished(pool)

    rows = ended.recording.runs[0].rows
    assert set(rows["failure"]) == {""}
    assert rows.drop(columns="cached").equals(whole.rows.drop(columns="cached"))


def test_what_ended_a_worker_for_good_counts_in_its_own_run_alone(tmp_path):
    task = RunTask(order(), tmp_path / "store.sqlite")
    error = EvaluationError("It died.")

    follows = task.blame("key", error, 3.0)
    assert follows.verdicts == {"key": error}
    assert follows.order == task.order
    assert task.verdicts == {}
    assert follows.blame("other", error, 1.0).verdicts == {"key": error, "other": error}


def test_a_run_whose_workers_are_lost_again_and_again_fails(tmp_path):
    ended = RunTask(order(), None).give_up(WorkerLostError("gone"))
    assert ended.failed
    assert "lost again and again: gone" in ended.error.message


def test_what_a_machine_runs_out_of_is_tried_again_within_the_run(tmp_path):
    target = Counting(
        FailingTarget(where=SPEED, error=WorkerLostError, message="full"), tmp_path / "log"
    )
    ended = run(target, tmp_path, evaluations=4)
    failed = ended.rows["failure"].tolist().count("infrastructure")
    tries = [line for line in target.log.read_text().splitlines() if "speed" in line]
    assert failed
    assert len(tries) == LOSSES * failed


def test_a_run_that_raises_what_nobody_expects_fails_alone(tmp_path):
    task = RunTask(order(), tmp_path / "store.sqlite")
    broken = replace(task, order=replace(task.order, objective=None))
    with ProcessPool(workers=1, timeout_s=60.0) as pool:
        failed = finished(pool, broken, LayeredTarget())
        assert failed.failed
        assert isinstance(failed.error, ExecutorError)
        assert not finished(pool, task, LayeredTarget()).failed


def test_a_target_whose_evaluations_differ_is_compared_by_its_samples(tmp_path):
    ended = run(NoisyTarget(), tmp_path, evaluations=60)
    again = run(NoisyTarget(), tmp_path, evaluations=60)
    assert len(ended.rows) == 60
    pd.testing.assert_frame_equal(
        ended.rows.drop(columns="cached"), again.rows.drop(columns="cached")
    )


def test_a_comparison_with_a_target_that_crashes_goes_on(comparison, here):
    crashing = comparison(
        target=[{"name": "fake-crashing"}],
        executor={"kind": "process", "workers": 2},
    )
    result = run_comparison(crashing)
    assert not result.failures
    failures = {failure for run in result.recording.runs for failure in run.rows["failure"]}
    assert failures == {"", "crash"}


@pytest.mark.parametrize(
    "executor",
    [
        {"kind": "inline"},
        {"kind": "process", "workers": 1},
        {"kind": "process", "workers": 2},
        pytest.param({"kind": "ray", "workers": 2}, marks=[pytest.mark.ray, pytest.mark.slow]),
    ],
    ids=json.dumps,
)
def test_targets_of_one_name_with_different_options_are_told_apart(comparison, executor):
    targets = [
        {"name": "fake-npu", "label": "plain"},
        {"name": "fake-npu", "label": "slow", "layer_cycles": 2000.0},
    ]
    result = run_comparison(comparison(target=targets, executor=executor))

    found = {
        (run.name.sampler, run.name.seed, run.name.problem.target): run.rows
        for run in result.recording.runs
    }
    assert len(found) == 8
    for (sampler, seed, target), rows in found.items():
        other = found[sampler, seed, "slow" if target == "plain" else "plain"]
        # Both search the same space; what is found differs in every row.
        assert (rows["cycles"] != other["cycles"]).all()
    baselines = {p.name.target: p.baseline["cycles"] for p in result.recording.problems}
    assert baselines["slow"] > 1.2 * baselines["plain"]
    fingerprints = [dict(p.fingerprint) for p in result.recording.problems]
    assert fingerprints[0] != fingerprints[1]


@pytest.mark.ray
@pytest.mark.slow
def test_ray_finds_what_one_process_finds(comparison):
    inline = run_comparison(comparison())
    asked = {"evaluations": 8, "seeds": 2, "folder": "ray"}
    on_ray = comparison(compare=asked, executor={"kind": "ray", "workers": 2})
    assert rows(run_comparison(on_ray)) == rows(inline)


def test_profile_begins_with_planned_configurations_within_its_budget(tmp_path):
    target = LayeredTarget(start_labels=("a", "b"))
    runs = {
        share: run(target, tmp_path, sampler="profile", options={"starts": share})
        for share in (0.25, 0.0)
    }

    planned = [
        target.evaluate(fake_network(3), s.configuration) for s in target.starts(fake_network(3))
    ]
    assert runs[0.25].rows["cycles"][1:3].tolist() == [e.metrics["cycles"] for e in planned]
    assert runs[0.0].rows["cycles"][1:3].tolist() != [e.metrics["cycles"] for e in planned]
    assert [len(each.rows) for each in runs.values()] == [12, 12]
