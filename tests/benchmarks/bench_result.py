"""What tuning gains on eight real networks over Vela's default and over its own options.

    python tests/benchmarks/bench_result.py --studies runs/result

One study per network with default settings: Ethos-U55-128, High_End_Embedded, Shared_Sram. All
figures are Vela's own estimate. The cost of a configuration is 0.5 x cycles + 0.5 x SRAM, each
relative to the default of the core that estimated it; "full" is the same with the cycles that
Vela's estimate leaves out (see docs/ethos_u.md), which is what a study minimises by default. The
vendor's front is {Performance, Size, Performance at eight arena limits between them} on both
cores; by full cycles, which the C++ core does not tell, on the Python core. `--studies` keeps the
studies; called again, it goes on where it stopped and prints the table. `--metric cycles` takes
Vela's estimate at its word.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from benchmark_networks import FILES, allows_cpu, benchmark_network, models_folder

from npu_tune.network import Network
from npu_tune.targets.ethos_u.family import EthosUFamily
from npu_tune.targets.ethos_u.problem import CppCoreProblem
from npu_tune.targets.ethos_u.target import EthosUTarget
from npu_tune.tuning import StudyResult, parse_study, run_study

NETWORKS = tuple(name for name in FILES if name != "ad_autoencoder")
MOST_MEAN, LEAST_BELOW_FRONT, MOST_CYCLES = 0.74, 0.08, 0.92


def main() -> None:
    options = _options()
    rows = []
    for name in options.networks:
        rows.append(_row(name, options))
        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    print(json.dumps(rows, indent=2) if options.json else _table(rows))
    sys.exit(0 if all(_reached(rows)) else 1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=Path, default=Path("runs/result"))
    parser.add_argument("--evaluations", type=int, default=1500)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--metric", choices=("full_cycles", "cycles"), default="full_cycles")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=NETWORKS)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def _row(name: str, options: argparse.Namespace) -> dict[str, Any]:
    target = EthosUFamily().make("ethos-u55-128", {"allow_cpu": allows_cpu(name)})
    network = benchmark_network(name)
    result = _study(name, target, options)
    base, best = result.baseline, result.best
    if base is None or best is None:
        raise SystemExit(f"No configuration of {name} could be evaluated.")
    front = [t.metrics for t in result.trials if _is_vendors(t.origin) and not t.failure]
    python = min(_cost(metrics, base.metrics) for metrics in front)
    cpp_default, cpp = _cpp_front(target, network)
    fewest = min(
        t.metrics["cycles"]
        for t in result.trials
        if t.feasible and t.metrics["sram_bytes"] <= base.metrics["sram_bytes"]
    )
    figures = ("cycles", "sram_bytes")
    return {
        "network": name,
        "cost": _cost(best.metrics, base.metrics),
        "cycles": best.metrics["cycles"] / base.metrics["cycles"],
        "sram": best.metrics["sram_bytes"] / base.metrics["sram_bytes"],
        "vendor": min(python, cpp),
        "vendor_python": python,
        "vendor_cpp": cpp,
        "cycles_alone": fewest / base.metrics["cycles"],
        "cpp_cycles": cpp_default["cycles"] / base.metrics["cycles"],
        "cpp_sram": cpp_default["sram_bytes"] / base.metrics["sram_bytes"],
        "beats_both": all(
            best.metrics[m] <= min(base.metrics[m], cpp_default[m]) for m in figures
        ),
        "full_cost": _cost(best.metrics, base.metrics, "full_cycles"),
        "full_vendor": min(_cost(metrics, base.metrics, "full_cycles") for metrics in front),
        "evaluations": sum(t.failure is None and t.duplicate_of is None for t in result.trials),
    }


def _study(name: str, target: EthosUTarget, options: argparse.Namespace) -> StudyResult:
    path = models_folder() / "tflite" / f"{FILES[name]}.tflite"
    study = parse_study(
        {
            "study": {
                "name": name,
                "folder": str(options.studies / name),
                "evaluations": options.evaluations,
                "seed": options.seed,
            },
            "model": {"path": str(path)},
            "target": {"name": target.name, "allow_cpu": target.allow_cpu},
            "objective": {"metrics": [options.metric, "sram_bytes"]},
            "executor": {"workers": options.workers},
        },
        base=Path.cwd(),
    )
    return run_study(study, target=target)


def _is_vendors(origin: str) -> bool:
    """Whether a trial is a point of the Python core's own front."""
    vendors = origin == "start: Vela Size" or origin.startswith("start: Vela arena")
    return origin == "baseline" or (vendors and "planned" not in origin)


def _cost(metrics: Any, base: Any, time: str = "cycles") -> float:
    return 0.5 * sum(metrics[m] / base[m] for m in (time, "sram_bytes"))


def _cpp_front(target: EthosUTarget, network: Network) -> tuple[dict[str, float], float]:
    """The C++ core's default, and the lowest cost on its front relative to that default."""
    with CppCoreProblem(target, network, target.system) as problem:
        default = dict(problem.evaluate(problem.space.default).metrics)
        others = [problem.evaluate(start.configuration).metrics for start in problem.starts()]
    return default, min(_cost(metrics, default) for metrics in [default, *others])


def _mean(rows: list[dict[str, Any]], column: str) -> float:
    return math.exp(statistics.mean(math.log(row[column]) for row in rows))


def _reached(rows: list[dict[str, Any]]) -> tuple[bool, bool, bool]:
    mean = _mean(rows, "cost")
    below = mean <= (1 - LEAST_BELOW_FRONT) * _mean(rows, "vendor_python")
    return mean <= MOST_MEAN, below, _mean(rows, "cycles_alone") <= MOST_CYCLES


def _table(rows: list[dict[str, Any]]) -> str:
    """Markdown; the vendor's fronts stand as their lowest cost, by core."""
    columns = (
        "network", "cost", "cycles", "SRAM", "Python core's front", "C++ core's front",
        "full cost", "front, full", "cycles alone", "C++ default: cycles, SRAM", "beats both",
    )  # fmt: skip
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    lines.extend(
        f"| {row['network']} | {row['cost']:.3f} | {row['cycles']:.3f} | {row['sram']:.3f} "
        f"| {row['vendor_python']:.3f} | {row['vendor_cpp']:.3f} "
        f"| {row['full_cost']:.3f} | {row['full_vendor']:.3f} "
        f"| {row['cycles_alone']:.3f} | {row['cpp_cycles']:.3f}, {row['cpp_sram']:.3f} "
        f"| {'yes' if row['beats_both'] else 'no'} |"
        for row in rows
    )
    mean = {c: _mean(rows, c) for c in rows[0] if isinstance(rows[0][c], float)}
    lines.append(
        "| geometric mean | {cost:.3f} | {cycles:.3f} | {sram:.3f} | {vendor_python:.3f} "
        "| {vendor_cpp:.3f} | {full_cost:.3f} | {full_vendor:.3f} | {cycles_alone:.3f} | | |".format(
            **mean
        )
    )
    for label, ours, theirs in (
        ("the Python core's front", "cost", "vendor_python"),
        ("the better of both fronts", "cost", "vendor"),
        ("the Python core's front, both by full cycles", "full_cost", "full_vendor"),
    ):
        lines.append(f"\n{1 - mean[ours] / mean[theirs]:.1%} below {label}.")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
