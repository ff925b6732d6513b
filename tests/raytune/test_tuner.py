"""Real runs of Ray Tune."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import fake_targets
import numpy as np
import pytest
from fake_targets import (
    Counting,
    FailingTarget,
    LayeredTarget,
    Meeting,
    MeetingPlace,
    NoisyTarget,
    Waiting,
    Where,
    fake_network,
    wait_until,
)
from optuna.trial import TrialState

from npu_tune.errors import UsageError
from npu_tune.network import load_network
from npu_tune.raytune import (
    best,
    configuration_of,
    front,
    param_space,
    search_algorithm,
    trainable,
)
from npu_tune.space import from_ray_config
from npu_tune.targets import load_target

pytestmark = [pytest.mark.ray, pytest.mark.slow]

SUPPORT = str(Path(fake_targets.__file__).parent)


@pytest.fixture(scope="module")
def ray_here():
    """Ray on this machine."""
    import ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
    yield ray
    ray.shutdown()


@dataclass(frozen=True)
class Found:
    """What a Tuner left behind."""

    results: list
    search: object
    folder: Path

    @property
    def trials(self):
        return self.search.study.get_trials(deepcopy=False)


@pytest.fixture
def fit(ray_here, tmp_path):
    """Runs a Tuner to its end."""
    from ray import tune

    def run(
        target,
        network,
        *,
        trials,
        wrap=lambda search: search,
        search=None,
        param_space=None,
        options=None,
        concurrent=2,
        **tune_options,
    ):
        made = None if search is None else search_algorithm(target, network, **search)
        tuner = tune.Tuner(
            trainable(target, network, **(options or {})),
            param_space=param_space,
            tune_config=tune.TuneConfig(
                search_alg=None if made is None else wrap(made),
                num_samples=trials,
                max_concurrent_trials=concurrent,
                reuse_actors=True,
                **tune_options,
            ),
            run_config=tune.RunConfig(storage_path=str(tmp_path / "ray"), verbose=0),
        )
        results = list(tuner.fit())
        (folder,) = (tmp_path / "ray").iterdir()
        return Found(results, made, folder)

    return run


def evaluations(log):
    """How often each configuration was evaluated."""
    return Counter(line.split(" ", 1)[1] for line in Path(log).read_text().splitlines())


def test_a_real_network_is_tuned_within_limits_and_learnt_from_layer_by_layer(fit, tmp_path):
    target = Counting(load_target("neural-art-stm32n6"), log=tmp_path / "log")
    network = load_network("resnet8")
    limits = {"ram_bytes": "<= 64 KiB"}
    found = fit(target, network, trials=10, search={"metric": "latency_ms", "limits": limits})
    assert [result.error for result in found.results] == [None] * 10
    with target.bind(network) as problem:
        space, default = problem.space, problem.evaluate(problem.space.default)
        planned = (space.effective(start.configuration) for start in problem.starts())
        plan = next(configuration for configuration in planned if configuration != space.default)
    # What Ray shows and calls its folders.
    title = "resnet8 on neural-art-stm32n6"
    assert found.folder.name.startswith(title)
    assert all(Path(result.path).name.startswith(title) for result in found.results)
    # The default first, then what the target has planned.
    first, second = (from_ray_config(space, result.config) for result in found.results[:2])
    assert first == space.default
    assert second == plan
    assert found.trials[0].values == [default.metrics["latency_ms"]]
    # What the sampler has learnt from.
    complete = [trial for trial in found.trials if trial.state == TrialState.COMPLETE]
    originals = [trial for trial in complete if "duplicate_of" not in trial.user_attrs]
    assert len(originals) == 10
    assert all(trial.user_attrs["profile"]["rows"].keys() for trial in originals)
    assert all(len(trial.constraints) == 1 for trial in originals)
    assert {share > 0 for t in originals for share in t.constraints.values()} == {False, True}
    # What comes of it.
    chosen = best(found.results, target, metric="latency_ms", limits=limits)
    assert chosen.metrics["ram_bytes"] <= 64 * 1024
    assert len(chosen.metrics["profile"].to_dataframe()) == len(default.profile)
    with target.bind(network) as problem:
        again = problem.evaluate(configuration_of(space, chosen))
    assert again.metrics["latency_ms"] == chosen.metrics["latency_ms"]


def test_two_trials_run_at_a_time_and_no_configuration_is_evaluated_twice(fit, tmp_path):
    # 2 strategies x 2 traversals x (1 + 3 stripes of a cascade) make 16, of which the default
    # meets nobody; of the others, two are only answered when they are evaluated at once.
    with MeetingPlace(tmp_path / "socket", 2, patience_s=300.0) as place:
        meeting = Meeting(LayeredTarget(blocks=1), address=str(tmp_path / "socket"))
        target = Counting(meeting, log=tmp_path / "log")
        search = {"metric": "cycles", "sampler": "random"}
        found = fit(target, fake_network(1), trials=15, search=search)
    counts = evaluations(tmp_path / "log")
    assert [result.error for result in found.results] == [None] * 15
    assert list(counts.values()) == [1] * 15
    assert [len(set(processes)) for processes in place.groups] == [2] * 7
    assert any("duplicate_of" in trial.user_attrs for trial in found.trials)


def test_what_ray_tune_samples_by_itself_is_not_evaluated_twice_either(fit, tmp_path):
    from ray import tune

    target = Counting(LayeredTarget(blocks=1), log=tmp_path / "log")
    network = fake_network(1)
    with target.bind(network) as problem:
        space = param_space(problem.space)
    grid = {"network": {"strategy": tune.grid_search(["size", "speed"])}, "mine": 3}
    np.random.seed(0)  # noqa: NPY002 - which Ray Tune draws from
    found = fit(target, network, trials=6, param_space={**space, **grid})
    counts = evaluations(tmp_path / "log")
    assert [result.error for result in found.results] == [None] * 12
    assert {result.config["mine"] for result in found.results} == {3}
    assert len(counts) < 12
    assert set(counts.values()) == {1}


def test_what_cannot_be_compiled_ends_its_trial_as_an_error_and_the_search_goes_on(fit):
    target = FailingTarget(LayeredTarget(), Where("network/strategy", "speed"))
    points = [{"network/strategy": "speed"}, {"layer0/block": 16}]
    found = fit(
        target,
        fake_network(2),
        trials=3,
        search={"metric": "cycles", "points_to_evaluate": points},
    )
    assert [result.error is None for result in found.results] == [True, False, True]
    assert "CompilerError: The compiler said no." in str(found.results[1].error)
    assert [trial.state.name for trial in found.trials] == ["COMPLETE", "FAIL", "COMPLETE"]


def test_a_repeater_averages_what_a_noisy_target_measures(fit):
    from ray.tune.search import Repeater

    target = NoisyTarget(LayeredTarget(), sigma=0.1)
    found = fit(
        target,
        fake_network(2),
        trials=6,
        search={"metric": "cycles"},
        wrap=lambda search: Repeater(search, repeat=3),
    )
    assert [result.error for result in found.results] == [None] * 6
    assert [result.config["__trial_index__"] for result in found.results] == [0, 1, 2] * 2
    cycles = [result.metrics["cycles"] for result in found.results]
    assert len(set(cycles)) == 6
    told = [trial.value for trial in found.trials if trial.state == TrialState.COMPLETE]
    means = [sum(cycles[start : start + 3]) / 3 for start in (0, 3)]
    assert sorted(told) == pytest.approx(sorted(means))


def test_a_trial_of_several_samples_reports_their_mean_after_each_and_may_be_stopped(fit):
    from ray.tune.schedulers import AsyncHyperBandScheduler

    slow = {"layer0/block": 32, "layer1/block": 32}  # three times the cycles
    found = fit(
        NoisyTarget(LayeredTarget(), sigma=0.05),
        fake_network(2),
        trials=2,
        concurrent=1,
        search={
            "metric": "cycles",
            "limits": "sram_bytes<=1 MiB",
            "points_to_evaluate": [slow],
        },
        options={"samples": 4},
        scheduler=AsyncHyperBandScheduler(
            metric="cycles", mode="min", max_t=4, grace_period=1, reduction_factor=2
        ),
    )
    assert [result.error for result in found.results] == [None, None]
    assert [result.metrics["samples"] for result in found.results] == [4, 1]
    assert [trial.state for trial in found.trials] == [TrialState.COMPLETE] * 2
    told = [trial.value for trial in found.trials]
    assert told == [result.metrics["cycles"] for result in found.results]
    assert all("profile" in trial.user_attrs for trial in found.trials)


def test_several_metrics_are_searched_for_their_front_in_a_narrowed_space(fit):
    from ray import tune

    target, network = LayeredTarget(), fake_network(2)
    metrics = ["cycles", "sram_bytes"]
    found = fit(
        target,
        network,
        trials=10,
        search={"metric": metrics, "sampler": "nsga2"},
        param_space={
            "network": {"strategy": "speed"},
            "layer0": {"block": tune.randint(0, 4), "cascade": tune.choice([False, True])},
            "layer1": {"block": tune.choice([1, 3])},
            "seed": 7,
        },
    )
    assert [result.error for result in found.results] == [None] * 10
    assert all(len(trial.values) == 2 for trial in found.trials)
    for result in found.results:
        assert result.config["network"]["strategy"] == "speed"
        assert result.config["layer1"]["block"] in (1, 3)
        assert result.config["layer1"]["traversal"] == "depth"
        assert result.config["seed"] == 7
    kept = front(found.results, target, metric=metrics)
    points = [tuple(result.metrics[name] for name in metrics) for result in found.results]
    expected = {
        p for p in points if not any(q != p and q[0] <= p[0] and q[1] <= p[1] for q in points)
    }
    assert [tuple(r.metrics[name] for name in metrics) for r in kept] == sorted(expected)
    assert all(math.isfinite(sum(point)) for point in points)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"metric": "cycle", "mode": "min"}, "'cycle'.*Did you mean 'cycles'?"),
        ({"metric": "accuracy", "mode": "min"}, "asks to minimize 'accuracy'"),
    ],
)
def test_a_wrong_metric_of_the_tuner_is_refused_before_anything_starts(fit, options, words):
    with pytest.raises(UsageError, match=words):
        fit(
            LayeredTarget(),
            fake_network(1),
            trials=1,
            search={"metric": "cycles"},
            param_space={"seed": 1},
            **options,
        )


KILLED = """
import os
import ray
from pathlib import Path
from fake_targets import Counting, LayeredTarget, Waiting, Where, fake_network
from ray import tune
from npu_tune.raytune import search_algorithm, trainable

folder = Path(os.environ["FOLDER"])
ray.init(os.environ["ADDRESS"], log_to_driver=False)
waiting = Waiting(LayeredTarget(), Where("layer0/block", 24), folder=folder)
target, network = Counting(waiting, log=folder / "log"), fake_network(2)
points = [{"layer0/block": 16}, {"layer0/block": 24}, {"layer0/block": 32}]
search = search_algorithm(target, network, metric="cycles", points_to_evaluate=points)
tune.Tuner(
    trainable(target, network),
    tune_config=tune.TuneConfig(
        search_alg=search, num_samples=6, max_concurrent_trials=1, reuse_actors=True
    ),
    run_config=tune.RunConfig(storage_path=str(folder / "ray"), name="run", verbose=0),
).fit()
"""


def test_after_a_kill_an_experiment_loses_and_repeats_nothing_that_finished(ray_here, tmp_path):
    from ray import tune

    address = ray_here.get_runtime_context().gcs_address
    # Ray Tune saves what it knows every ten seconds unless told otherwise.
    told = {"FOLDER": str(tmp_path), "ADDRESS": address, "TUNE_GLOBAL_CHECKPOINT_S": "0"}
    path = os.pathsep.join([SUPPORT, os.environ.get("PYTHONPATH", "")])
    driver = subprocess.Popen(
        [sys.executable, "-c", KILLED], env={**os.environ, **told, "PYTHONPATH": path}
    )
    wait_until((tmp_path / "begun").exists, patience_s=300.0)
    # What was saved before a trial is known by the searcher and not yet to Ray, which adds another.
    began = (tmp_path / "begun").stat().st_mtime
    saved = tmp_path / "ray/run"
    wait_until(
        lambda: all(
            any(file.stat().st_mtime > began for file in saved.glob(pattern))
            for pattern in ("experiment_state-*.json", "search*.pkl")
        ),
        patience_s=60.0,
    )
    driver.kill()
    driver.wait()
    before = evaluations(tmp_path / "log")
    (tmp_path / "go").touch()

    waiting = Waiting(LayeredTarget(), Where("layer0/block", 24), folder=tmp_path)
    target, network = Counting(waiting, log=tmp_path / "log"), fake_network(2)
    tuner = tune.Tuner.restore(str(tmp_path / "ray/run"), trainable(target, network))
    results = list(tuner.fit())

    assert [result.error for result in results] == [None] * 6
    blocks = [result.config["layer0"]["block"] for result in results]
    assert {0, 1, 2, 3} <= set(blocks)
    after = evaluations(tmp_path / "log")
    assert len(after) == 6
    # What was under way is evaluated again, and nothing else.
    assert {changes for changes, times in after.items() if times > 1} == {"[('layer0/block', 24)]"}
    assert len(before) == 3
