"""What samplers find on built-in networks, evaluation by evaluation, at equal budgets.

    python tests/benchmarks/bench_samplers.py --networks ds-cnn resnet8 --samplers profile tpe

Every run starts with the target's default. The cost is the package's default: equal weights of
the target's first two metrics relative to the default's (`--metrics` takes others; `--pareto`
gives samplers one objective per metric). A figure is the best cost after so many trials, with
`--pareto` the hypervolume up to 1.1 times the default (more is better), the median over seeds; repeated configurations count. `--runs` keeps runs, so that a table grows over
several calls.

    python tests/benchmarks/bench_samplers.py --overhead

times proposals at 300 parameters of 75 layers with profiles.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from npu_tune._optuna_compat import SearchStudy, hypervolume
from npu_tune.errors import EvaluationError
from npu_tune.network import Network
from npu_tune.network.zoo import zoo_network
from npu_tune.space import from_params, to_distributions, to_params
from npu_tune.targets import Target, load_target
from npu_tune.tuning.attributes import pack_profile
from npu_tune.tuning.samplers import make_sampler, sampler_names

NETWORKS = (
    "ds-cnn",
    "resnet8",
    "mobilenet-v1-0.25-96",
    "mobilenet-v2-0.35-96",
    "squeezenet-128-c101",
)
CHECKPOINTS = (10, 20, 50, 100, 200, 300, 1000)
CORNER = 1.1
Values = list[list[float]]


def main() -> None:
    options = _options()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if options.overhead:
        _print_overhead(options)
        return
    for network in options.networks:
        curves = {
            sampler: [_curve(network, sampler, seed, options) for seed in range(options.seeds)]
            for sampler in options.samplers
        }
        _print_table(network, curves, options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--target", default="neural-art-stm32n6")
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS))
    parser.add_argument(
        "--samplers", nargs="+", default=["profile", "layerwise", "nsga2"], choices=sampler_names()
    )
    parser.add_argument("--metrics", nargs="+", help="default: the first two of the target")
    parser.add_argument("--pareto", action="store_true")
    parser.add_argument("--evaluations", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--runs", type=Path, help="folder in which runs are kept")
    parser.add_argument("--overhead", action="store_true")
    parser.add_argument("--parameters", type=int, default=300)
    return parser.parse_args()


def _curve(network: str, sampler: str, seed: int, options: argparse.Namespace) -> Values:
    """The values of every evaluation in order."""
    metrics = "-".join(options.metrics or ["default"]) + ("-pareto" if options.pareto else "")
    name = f"{options.target}.{network}.{metrics}.{sampler}.{seed}.json"
    file = options.runs / name if options.runs else None
    if file is not None and file.exists():
        kept: Values = json.loads(file.read_text())
        if len(kept) >= options.evaluations:
            return kept[: options.evaluations]
    start = time.perf_counter()
    values = _run(network, sampler, seed, options)
    spent = time.perf_counter() - start
    print(f"{name}: {1e3 * spent / len(values):.1f} ms per trial", file=sys.stderr, flush=True)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))
    return values


def _run(name: str, sampler: str, seed: int, options: argparse.Namespace) -> Values:
    target, network = load_target(options.target), zoo_network(name)
    space = target.space(network)
    default = space.default
    metrics = options.metrics or [metric.name for metric in target.metrics[:2]]
    base = target.evaluate(network, default).metrics
    baseline = to_params(space, default)
    made = make_sampler(
        sampler, {}, seed=seed, context={"layer_order": space.layers, "baseline": baseline}
    )
    count = len(metrics) if options.pareto else 1
    study = SearchStudy(made, ["minimize"] * count, to_distributions(space))
    study.enqueue(baseline)
    values: Values = []
    for _ in range(options.evaluations):
        trial = study.ask()
        found, attributes = _evaluate(target, network, space, trial.params, metrics)
        if found is None:
            study.tell(trial, None)
        else:
            ratios = [found[metric] / base[metric] for metric in metrics]
            told = ratios if options.pareto else [sum(ratios) / len(ratios)]
            study.tell(trial, told, user_attrs=attributes)
            values.append(told)
    return values


def _evaluate(
    target: Target, network: Network, space: Any, params: dict[str, Any], metrics: list[str]
) -> tuple[Any, dict[str, Any]]:
    configuration = from_params(space, params)
    try:
        space.check(configuration)
        evaluation = target.evaluate(network, configuration)
    except EvaluationError:
        return None, {}
    profile = {
        layer: {column: float(value) for column, value in row.items()}
        for layer, row in evaluation.profile.items()
    }
    return evaluation.metrics, {"profile": pack_profile(profile)}


def _print_table(network: str, curves: dict[str, list[Values]], options: Any) -> None:
    points = [n for n in CHECKPOINTS if n <= options.evaluations]
    print(f"\n{network}, {options.seeds} seeds")
    print(f"{'sampler':<12}" + "".join(f"{n:>9}" for n in points))
    for sampler, runs in curves.items():
        best = [statistics.median(_figure(run, n) for run in runs) for n in points]
        print(f"{sampler:<12}" + "".join(f"{value:>9.4f}" for value in best))
    sys.stdout.flush()


def _figure(run: Values, count: int) -> float:
    """The best cost so far; of several objectives the hypervolume up to 1.1 times the default."""
    told = np.array(run[:count])
    if told.shape[1] == 1:
        return float(told.min())
    return hypervolume(np.minimum(told, CORNER), [CORNER] * told.shape[1])


def _print_overhead(options: argparse.Namespace) -> None:
    """Times proposals of a made-up network whose layers cost what their values say."""
    kinds: dict[str, BaseDistribution] = {
        "ofm_block": IntDistribution(0, 39),
        "cascade": CategoricalDistribution((False, True)),
        "stripe": IntDistribution(0, 7),
        "buffering": CategoricalDistribution(("none", "single", "double")),
    }
    layers = options.parameters // len(kinds)
    distributions = {f"layer{n}/{k}": d for n in range(layers) for k, d in kinds.items()}
    weights = np.random.default_rng(0).lognormal(0.0, 1.0, layers)
    for name in options.samplers:
        study = SearchStudy(
            make_sampler(name, {}, seed=0, context={}), ["minimize"], distributions
        )
        times: list[float] = []
        print(
            f"\n{name}: {4 * layers} parameters, processor milliseconds per proposal (median, mean)"
        )
        for number in range(1, options.evaluations + 1):
            start = time.process_time()
            trial = study.ask()
            times.append(1e3 * (time.process_time() - start))
            profile = _made_up_profile(trial.params, weights)
            peak = max(row["live_bytes"] for row in profile.values())
            total = sum(row["cycles"] for row in profile.values())
            study.tell(trial, [total + peak], user_attrs={"profile": pack_profile(profile)})
            if number in CHECKPOINTS or number % 1000 == 0:
                last = times[-max(number // 5, 1) :]
                print(f"{number:>8}{statistics.median(last):>9.1f}{statistics.mean(last):>9.1f}")
                sys.stdout.flush()


def _made_up_profile(params: dict[str, Any], weights: Any) -> dict[str, dict[str, float]]:
    profile, before = {}, False
    for n, weight in enumerate(weights):
        get = {k: params[f"layer{n}/{k}"] for k in ("ofm_block", "cascade", "stripe", "buffering")}
        cost = 1.0 + (get["ofm_block"] - 7 * n % 40) ** 2 / 800 + 0.1 * (get["stripe"] != n % 8)
        cost += 0.3 * (get["buffering"] == "none") - 0.2 * (before and get["cascade"])
        before = get["cascade"]
        held = 1000.0 * weight * (2.0 - before) * (1 + (get["buffering"] == "double"))
        profile[f"layer{n}"] = {"cycles": float(1e4 * weight * cost), "live_bytes": float(held)}
    return profile


if __name__ == "__main__":
    main()
