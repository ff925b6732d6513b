from __future__ import annotations

import dataclasses
import json

import optuna
import pytest
from fake_studies import fake_study, run_fake, story
from fake_targets import (
    Counting,
    CrashingTarget,
    Drifting,
    FailingTarget,
    Flat,
    LayeredTarget,
    Spoiling,
    Thrifty,
    Where,
    fake_network,
)

from npu_tune.errors import (
    CompilerError,
    InfeasibleError,
    NpuTuneWarning,
    StorageError,
    StudyMismatchError,
    UsageError,
)
from npu_tune.evaluation.pool.inline import InlinePool
from npu_tune.tuning import load_study_file, read_study, require_feasible, run_study

SAMPLERS = ["layerwise", "nsga2", "random", "tpe"]
SMALL = LayeredTarget(blocks=2)


def evaluated(result):
    return [trial for trial in result.trials if trial.duplicate_of is None]


def test_the_baseline_comes_first_and_counts(tmp_path):
    result = run_fake(tmp_path / "s", 5)

    assert result.trials[0].origin == "baseline"
    assert result.trials[0].configuration == result.default
    assert result.trials[0].cost == 1.0
    assert len(evaluated(result)) == 5
    assert result.stopped == "evaluations"


@pytest.mark.parametrize(("evaluations", "started"), [(3, 3), (40, 4)])
def test_no_more_workers_are_asked_for_than_there_are_evaluations(
    tmp_path, monkeypatch, evaluations, started
):
    asked = []

    def inline_instead(executor, problem):
        asked.append(executor.capacity)
        return InlinePool(problem)

    monkeypatch.setattr("npu_tune.tuning.evaluators.make_pool", inline_instead)
    executor = {"kind": "process", "workers": 4}
    run_fake(tmp_path / "s", evaluations, executor=executor)

    assert asked == [started]


def test_the_baseline_is_evaluated_again_at_the_end(tmp_path):
    result = run_fake(tmp_path / "s", 3)

    assert result.baseline_again == result.baseline.metrics


def test_a_baseline_that_moved_is_warned_about(tmp_path):
    with pytest.warns(NpuTuneWarning, match="'cycles'"):
        result = run_fake(tmp_path / "s", 3, target=Drifting())

    assert result.baseline_again["cycles"] > result.baseline.metrics["cycles"]


def test_the_targets_proposals_come_next_and_count(tmp_path):
    result = run_fake(tmp_path / "s", 5, target=LayeredTarget(start_labels=("a", "b")))

    origins = [trial.origin for trial in evaluated(result)]
    assert origins == ["baseline", "start: a", "start: b", "sampler", "sampler"]


def test_the_best_trial_beats_the_baseline_and_rebuilds_to_the_same_figures(tmp_path):
    result = run_fake(tmp_path / "s", 60, sampler={"name": "layerwise"})

    best = require_feasible(result)
    assert best.cost < 0.9
    evaluation = LayeredTarget().evaluate(fake_network(), best.configuration)
    assert dict(evaluation.metrics) == best.metrics
    assert evaluation.profile == best.profile
    assert best.notes == ("synthetic",)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("cuts", [(1,), (2, 3), (17, 30)])
def test_a_resumed_serial_study_equals_an_uninterrupted_one(tmp_path, sampler, cuts):
    target = FailingTarget(LayeredTarget(start_labels=("a",)), Where("layer1/cascade", True))
    options = {"target": target, "sampler": {"name": sampler}}
    whole = run_fake(tmp_path / "whole", 40, **options)

    for evaluations in (*cuts, 40):
        resumed = run_fake(tmp_path / "resumed", evaluations, **options)

    assert story(resumed) == story(whole)


def test_a_finished_study_run_again_evaluates_nothing(tmp_path):
    target = Counting(LayeredTarget(), tmp_path / "log")
    first = run_fake(tmp_path / "s", 5, target=target)
    before = target.log.read_text()

    again = run_fake(tmp_path / "s", 5, target=target)

    assert target.log.read_text() == before
    assert story(again) == story(first)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_no_effective_configuration_is_evaluated_twice(tmp_path, sampler):
    target = Counting(SMALL, tmp_path / "log")
    result = run_fake(tmp_path / "s", 60, target=target, sampler={"name": sampler})

    lines = target.log.read_text().splitlines()[:-1]  # the last is the baseline again
    assert len(lines) == len(set(lines)) == 60
    space = SMALL.space(fake_network())
    effective = [space.effective(trial.configuration) for trial in evaluated(result)]
    assert len(set(effective)) == 60


def test_a_duplicate_repeats_the_answer_of_the_trial_it_names(tmp_path):
    result = run_fake(tmp_path / "s", 30, target=SMALL, network=fake_network(1))

    duplicates = [trial for trial in result.trials if trial.duplicate_of is not None]
    assert duplicates
    for trial in duplicates:
        original = result.trials[trial.duplicate_of]
        assert original.duplicate_of is None
        assert (trial.metrics, trial.cost) == (original.metrics, original.cost)
        assert trial.profile == original.profile
        assert trial.seconds == 0.0


def test_a_space_with_nothing_new_ends_the_study(tmp_path):
    # One layer: 2 strategies x 2 blocks x 2 traversals x (no cascade or one of 3 stripes).
    result = run_fake(
        tmp_path / "s",
        1000,
        target=SMALL,
        network=fake_network(1),
        study={"duplicates_in_a_row": 100},
    )

    assert result.stopped == "search space exhausted"
    assert len(evaluated(result)) == 32


def test_a_failed_configuration_is_kept_with_its_class_and_not_tried_again(tmp_path):
    inner = Counting(FailingTarget(SMALL, Where("layer0/cascade", True)), tmp_path / "log")
    result = run_fake(tmp_path / "s", 30, target=inner, network=fake_network(1))

    failed = [trial for trial in evaluated(result) if trial.failure]
    assert {trial.failure for trial in failed} == {"compiler-error"}
    assert {trial.message for trial in failed} == {"The compiler said no."}
    assert all(trial.configuration["layer0/cascade"] for trial in failed)
    repeated = [t for t in result.trials if t.failure and t.duplicate_of is not None]
    assert repeated
    lines = inner.log.read_text().splitlines()[:-1]
    assert len(lines) == len(set(lines))


@pytest.mark.parametrize(
    ("target", "failure"),
    [
        (FailingTarget(error=ZeroDivisionError), "compiler-error"),
        (Spoiling(), "compiler-error"),
        (FailingTarget(), "compiler-error"),
    ],
)
def test_a_study_goes_on_when_everything_but_the_baseline_fails(tmp_path, target, failure):
    result = run_fake(tmp_path / "s", 6, target=target)

    assert [trial.failure for trial in evaluated(result)] == [None, *[failure] * 5]
    assert require_feasible(result).origin == "baseline"


def test_a_configuration_the_rules_forbid_fails_without_a_compilation(tmp_path):
    target = Counting(LayeredTarget(forbidden_block=16), tmp_path / "log")
    result = run_fake(tmp_path / "s", 20, target=target)

    illegal = [trial for trial in evaluated(result) if trial.failure == "illegal"]
    assert illegal
    compiled = len(target.log.read_text().splitlines()) - 1
    assert compiled == 20 - len(illegal)


def test_a_default_that_cannot_be_evaluated_ends_the_study_and_leaves_no_trial(tmp_path):
    with pytest.raises(CompilerError, match=r"default configuration.*said no"):
        run_fake(tmp_path / "s", 5, target=FailingTarget(where=Where("network/strategy", "size")))

    assert read_study(tmp_path / "s").trials == ()


def test_a_limit_that_nothing_meets_is_reported_with_the_least_infeasible(tmp_path):
    result = run_fake(tmp_path / "s", 10, limits={"sram_bytes": "1 KiB"})

    with pytest.raises(InfeasibleError, match="sram_bytes"):
        require_feasible(result)
    smallest = min(trial.metrics["sram_bytes"] for trial in evaluated(result))
    assert result.least_infeasible.metrics["sram_bytes"] == smallest


def test_limits_reach_optuna_as_constraints(tmp_path):
    run_fake(tmp_path / "s", 10, limits={"sram_bytes": 4608 * 2})

    storage = optuna.storages.JournalStorage(
        optuna.storages.journal.JournalFileBackend(str(tmp_path / "s" / "ledger.journal"))
    )
    study = optuna.load_study(study_name="test", storage=storage)
    assert len(study.trials) >= 10
    assert study.trials[0].constraints["sram_bytes"] == -0.5
    assert study.trials[0].user_attrs["sram_bytes"] == 4608


def test_a_pareto_study_tells_the_sampler_every_metric(tmp_path):
    objective = {
        "metrics": ["cycles", "share"],
        "mode": "pareto",
        "directions": {"share": "maximize"},
    }
    result = run_fake(tmp_path / "s", 10, objective=objective, sampler={"name": "nsga2"})

    assert result.objective.directions == {"cycles": "minimize", "share": "maximize"}
    assert len(result.front) == 1
    assert story(read_study(tmp_path / "s")) == story(result)


def test_a_study_on_sqlite_resumes_like_one_on_a_journal_file(tmp_path):
    storage = {"storage": f"sqlite:///{tmp_path}/study.db"}
    options = {"study": storage, "sampler": {"name": "layerwise"}}
    run_fake(tmp_path / "s", 7, **options)
    resumed = run_fake(tmp_path / "s", 15, **options)
    whole = run_fake(tmp_path / "t", 15, sampler={"name": "layerwise"})

    assert story(resumed) == story(whole)
    assert story(read_study(tmp_path / "s")) == story(whole)


@pytest.mark.server
def test_a_study_on_postgresql_resumes_and_is_read_while_it_runs(tmp_path, postgres_url):
    psycopg = pytest.importorskip("psycopg")
    with psycopg.connect(f"{postgres_url}/postgres", autocommit=True) as connection:
        connection.execute("CREATE DATABASE whole_studies")
    storage = {"storage": f"{postgres_url}/whole_studies"}
    options = {"study": storage, "sampler": {"name": "layerwise"}}
    seen = []

    def look(progress):
        if progress.evaluations:
            result = read_study(tmp_path / "s")
            seen.append(len(evaluated(result)) == progress.evaluations)

    run_fake(tmp_path / "s", 4, listener=look, **options)
    resumed = run_fake(tmp_path / "s", 12, **options)

    assert seen
    assert all(seen)
    whole = run_fake(tmp_path / "t", 12, sampler={"name": "layerwise"})
    assert story(resumed) == story(whole)


def test_the_study_folder_says_everything_after_it_is_moved(tmp_path):
    result = run_fake(tmp_path / "s", 5)
    (tmp_path / "s").rename(tmp_path / "moved")

    study = load_study_file(tmp_path / "moved" / "study.toml")
    assert study.folder == tmp_path / "moved"
    assert (tmp_path / "moved" / "model.tflite").read_bytes() == fake_network().model_bytes
    assert study.model.path == str(tmp_path / "moved" / "model.tflite")
    assert read_study(tmp_path / "moved").trials == result.trials
    again = run_study(study, network=fake_network(), target=LayeredTarget())
    assert story(again) == story(result)


def test_a_study_is_read_while_it_runs(tmp_path):
    seen = []

    def look(progress):
        if progress.evaluations:
            seen.append((progress, read_study(tmp_path / "s")))

    run_fake(tmp_path / "s", 5, listener=look)

    assert seen
    for progress, result in seen:
        assert len(evaluated(result)) == progress.evaluations
        assert result.stopped is None
    assert seen[-1][0].finished == 5
    assert seen[-1][0].best_cost == seen[-1][1].best.cost
    assert seen[-1][0].front_size == len(seen[-1][1].front)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"network": fake_network(content=b"other")}, r"model \(SHA-256\)"),
        ({"target": LayeredTarget(compiler="2")}, r"target's compiler is \"'1'\", not \"'2'\""),
        ({"target": CrashingTarget()}, r"target's wrapped is null, not \"CrashingTarget"),
        ({"limits": {"sram_bytes": 9000}}, "limits"),
        ({"objective": {"metrics": ["cycles"]}}, "objective"),
        ({"target": LayeredTarget(blocks=3)}, r'blocks is "4", not "3"'),
        ({"objective": {"mode": "pareto"}}, "objectives"),
    ],
)
def test_a_study_of_something_else_is_refused_and_left_alone(tmp_path, changes, match):
    first = run_fake(tmp_path / "s", 3)

    with pytest.raises(StudyMismatchError, match=match):
        run_fake(tmp_path / "s", 5, **changes)

    assert story(read_study(tmp_path / "s")) == story(first)


def test_trials_of_somebody_else_are_not_taken_over(tmp_path):
    url = f"sqlite:///{tmp_path}/study.db"
    foreign = optuna.create_study(study_name="test", storage=url)
    foreign.add_trial(optuna.trial.create_trial(value=1.0))

    with pytest.raises(StorageError, match="did not write"):
        run_fake(tmp_path / "s", 3, study={"storage": url})


def _opened_by_optuna(folder):
    backend = optuna.storages.journal.JournalFileBackend(str(folder / "ledger.journal"))
    return optuna.load_study(study_name="test", storage=optuna.storages.JournalStorage(backend))


def test_trials_that_another_tool_adds_to_a_study_do_not_disturb_it(tmp_path):
    folder = tmp_path / "s"
    before = story(run_fake(folder, 8))
    study = _opened_by_optuna(folder)
    study.add_trial(optuna.trial.create_trial(value=0.1))
    study.enqueue_trial({})
    study.ask()

    assert story(read_study(folder)) == before
    resumed = run_fake(folder, 12)
    assert story(resumed)[: len(before)] == before
    assert len(evaluated(resumed)) == 12


def test_duplicates_find_what_they_repeat_after_a_damaged_line_was_taken_out(tmp_path):
    folder = tmp_path / "s"
    whole = run_fake(folder, 30, target=SMALL, network=fake_network(1))
    again = next(trial for trial in whole.trials if trial.duplicate_of not in (None, 0))
    lost = next(trial for trial in whole.trials[1:] if trial.duplicate_of is None)
    assert lost.number <= again.duplicate_of
    journal = folder / "ledger.journal"
    lines = journal.read_text().splitlines(keepends=True)
    trials = [number for number, line in enumerate(lines) if json.loads(line)["op_code"] == 4]
    journal.write_text("".join(lines[: trials[lost.number]] + lines[trials[lost.number] + 1 :]))

    kept = read_study(folder)
    by_configuration = {trial.configuration: trial.metrics for trial in whole.trials}
    assert len(kept.trials) == len(whole.trials) - 1
    assert all(by_configuration[t.configuration] == t.metrics for t in kept.trials)
    assert any(trial.configuration == again.configuration for trial in kept.trials)


def test_a_study_of_another_version_is_refused_by_its_version(tmp_path):
    folder = tmp_path / "s"
    run_fake(folder, 2)
    study = _opened_by_optuna(folder)
    study.set_user_attr("npu_tune", study.user_attrs["npu_tune"] | {"schema_version": 0})

    with pytest.raises(StorageError, match="another version"):
        read_study(folder)


def test_a_folder_without_a_study_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="no study"):
        read_study(tmp_path)


def test_the_wall_time_ends_a_study_over_all_its_runs(tmp_path):
    study = {"evaluations": 1000, "wall_time": 1e-6}
    first = run_fake(tmp_path / "s", study=study)
    again = run_fake(tmp_path / "s", study=study)

    assert first.stopped == again.stopped == "wall time"
    assert len(first.trials) == len(again.trials) == 1


@pytest.mark.parametrize(
    "sampler", ["annealing", "layerwise", "profile", "qlearning", "qlearning-offline"]
)
def test_a_sampler_that_walks_layers_is_refused_where_there_are_none(tmp_path, sampler):
    with pytest.raises(UsageError, match=f"'{sampler}' walks layers, and no layer .* tpe, nsga2"):
        run_fake(tmp_path / "s", target=Flat(), sampler={"name": sampler})
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("sampler", [{}, {"name": "tpe"}])
def test_a_space_without_layers_is_searched_by_others_and_by_default(tmp_path, sampler):
    result = run_fake(tmp_path / "s", target=Flat(), sampler=sampler)
    assert len(evaluated(result)) == 2
    # What the folder keeps names the sampler, and goes on all the same.
    kept = load_study_file(tmp_path / "s" / "study.toml")
    again = run_study(kept, network=fake_network(), target=Flat())
    assert len(evaluated(again)) == 2


def test_a_target_without_references_or_starts_to_offer_only_warns(tmp_path):
    @dataclasses.dataclass(frozen=True)
    class Silent(LayeredTarget):
        def starts(self, network):
            raise CompilerError("no schedule")

        def references(self, network):
            raise CompilerError("no metrics")

    with pytest.warns(NpuTuneWarning, match="no schedule|no metrics") as caught:
        result = run_fake(tmp_path / "s", 3, target=Silent())

    assert len(caught) == 2
    assert result.references == {}
    assert len(result.trials) == 3


def test_what_study_asks_is_checked_before_anything_is_written(tmp_path):
    with pytest.raises(UsageError, match="beam_width"):
        run_fake(tmp_path / "s", 3, sampler={"name": "layerwise", "beam": 3})

    assert not (tmp_path / "s").exists()
    assert fake_study(tmp_path / "s").study.evaluations == 20


METRICS = [metric.name for metric in SMALL.metrics]


def _as_written_before(folder):
    """Turns a ledger into one of the first schema: other keys, and less said of the problem."""
    journal = folder / "ledger.journal"
    lines = []
    for line in journal.read_text().splitlines():
        log = json.loads(line) | {"worker_id": "npu-tune"}
        del log["seq"], log["crc32"]
        attributes = log.get("user_attrs", {})
        if "key" in attributes:
            attributes["key"] = f"old-{attributes['key'][4:]}"
            metrics = {name: attributes.pop(name) for name in METRICS if name in attributes}
            attributes |= {"metrics": metrics} if metrics else {}
            del attributes["changes"]
        about = log.get("user_attr", {}).get("npu_tune")
        if about:
            about["schema_version"] = 1
            del about["profile"]
            about["metrics"] = [
                {key: metric[key] for key in ("name", "unit", "kind", "description")}
                for metric in about["metrics"]
            ]
        lines.append(json.dumps(log))
    journal.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("evaluations", [7, 25])
def test_a_study_of_the_first_schema_is_read_and_resumed(tmp_path, evaluations):
    options = {"target": SMALL, "network": fake_network(1), "sampler": {"name": "random"}}
    whole = run_fake(tmp_path / "whole", 30, **options)
    run_fake(tmp_path / "s", evaluations, **options)
    _as_written_before(tmp_path / "s")

    before = read_study(tmp_path / "s")
    resumed = run_fake(tmp_path / "s", 30, **options)

    assert story(before) == story(whole)[: len(before.trials)]
    assert story(resumed) == story(whole)
    assert any(trial.duplicate_of is not None for trial in resumed.trials)


def test_a_study_of_the_first_schema_about_something_else_is_refused(tmp_path):
    run_fake(tmp_path / "s", 3)
    _as_written_before(tmp_path / "s")

    with pytest.raises(StudyMismatchError, match="compiler"):
        run_fake(tmp_path / "s", 5, target=LayeredTarget(compiler="2"))


def test_only_what_is_shown_has_metrics_on_request(tmp_path):
    result = run_fake(tmp_path / "s", 30, target=Thrifty(LayeredTarget()))
    shown = {trial.number for trial in (result.baseline, *result.shown)}

    assert {t.number for t in evaluated(result) if "share" in t.metrics} == shown
    assert "share" in result.baseline_again
    assert [t.metrics for t in read_study(tmp_path / "s").shown] == [
        t.metrics for t in result.shown
    ]
    whole = run_fake(tmp_path / "whole", 30)
    assert [t.configuration for t in whole.trials] == [t.configuration for t in result.trials]


def test_a_longer_run_fills_in_what_is_shown_then(tmp_path):
    target = Thrifty(LayeredTarget())
    run_fake(tmp_path / "s", 10, target=target)
    result = run_fake(tmp_path / "s", 40, target=target)

    assert all("share" in trial.metrics for trial in result.shown)


@pytest.mark.parametrize(
    "asking", [{"objective": {"metrics": ["share"]}}, {"limits": ["share<=1"]}]
)
def test_an_objective_that_needs_a_metric_on_request_has_it_in_every_trial(tmp_path, asking):
    store = {"study": {"cache": str(tmp_path / "cache")}}
    target = Thrifty(LayeredTarget())
    run_fake(tmp_path / "cycles", 12, target=target, **store)
    result = run_fake(tmp_path / "share", 12, target=target, **store, **asking)

    assert all("share" in trial.metrics for trial in result.trials)
