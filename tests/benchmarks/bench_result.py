"""What tuning gains on real networks over all that Vela offers, by one yardstick.

    python tests/benchmarks/bench_result.py --studies runs/result --evaluations 300

One study per network with default settings: Ethos-U55-128, High_End_Embedded, Shared_Sram. All
figures are Vela's estimates, relative to the default of its Python core, whichever core they are
of. A cost is 0.5 x full_cycles + 0.5 x SRAM; see docs/ethos_u.md for the cycles that Vela's own
`cycles` leave out. A front is the least cost among Performance, Size and eight arena limits; that
of the C++ core stands by its own estimate, which tells no full cycles, and its schedule of that
point by the Python core's. `--studies` keeps the studies; called again, it goes on where it
stopped and prints the table. `--metric cycles` takes Vela's `cycles` at their word. The bound is
what no configuration falls below, each metric by itself (npu_tune.targets.ethos_u.bound).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from benchmark_networks import FILES, allows_cpu, benchmark_path, models_folder

from npu_tune.targets.ethos_u.family import EthosUFamily
from npu_tune.targets.ethos_u.problem import CPP_LABEL
from npu_tune.targets.ethos_u.target import EthosUTarget
from npu_tune.tuning import StudyResult, parse_study, run_study

os.environ["NPU_TUNE_CACHE"] = ""  # what is timed here is evaluated

DETECTOR = "ultraface"
"""A face detector with a softmax over 4,420 positions, in float, which is made int8 first."""

NETWORKS = (*(name for name in FILES if name != "ad_autoencoder"), DETECTOR)
EARLY = 60
"""Evaluations after which no network may be worse than plain `vela`."""


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
    parser.add_argument("--evaluations", type=int, default=300)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--metric", choices=("full_cycles", "cycles"), default="full_cycles")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=NETWORKS)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def _row(name: str, options: argparse.Namespace) -> dict[str, Any]:
    target = EthosUFamily().make("ethos-u55-128", {"allow_cpu": allows_cpu(name)})
    result = _study(name, target, options)
    base, best = result.baseline, result.best
    if base is None or best is None or best.cost is None:
        raise SystemExit(f"No configuration of {name} could be evaluated.")
    costs = {
        label: result.objective.cost(metrics, base.metrics)
        for label, metrics in result.references.items()
    }
    own = min(cost for label, cost in costs.items() if "its own estimate" in label)
    same = next(cost for label, cost in costs.items() if "same estimate" in label)
    evaluated = [t for t in result.trials if t.duplicate_of is None and t.failure is None]
    feasible = [t for t in evaluated if t.cost is not None]
    front = min(t.cost for t in feasible if _is_vendors(t.origin))
    if result.bound is None:
        raise SystemExit(f"The bound of {name} is missing.")
    least = {"cycles": math.nan, **result.bound.metrics}
    fewest = min(
        t.metrics["cycles"]
        for t in feasible
        if t.metrics["sram_bytes"] <= base.metrics["sram_bytes"]
    )
    return {
        "network": name,
        "cost": best.cost,
        "bound": result.objective.cost(least, base.metrics),
        "cycles": best.metrics["cycles"] / base.metrics["cycles"],
        "sram": best.metrics["sram_bytes"] / base.metrics["sram_bytes"],
        "python_front": front,
        "cpp_front": own,
        "cpp_front_same": same,
        "front": min(front, own, same),
        "early": min(t.cost for t in feasible[:EARLY]),
        "cpp_default": costs[CPP_LABEL],
        "cycles_alone": fewest / base.metrics["cycles"],
        "evaluations": len(evaluated),
    }


def _study(name: str, target: EthosUTarget, options: argparse.Namespace) -> StudyResult:
    study = parse_study(
        {
            "study": {
                "name": name,
                "folder": str(options.studies / name),
                "evaluations": options.evaluations,
                "seed": options.seed,
            },
            "model": {"path": str(_path(name))},
            "target": {"name": target.name, "allow_cpu": target.allow_cpu},
            "objective": {"metrics": [options.metric, "sram_bytes"]},
            "executor": {"workers": options.workers},
        },
        base=Path.cwd(),
    )
    return run_study(study, target=target)


def _path(name: str) -> Path:
    if name == DETECTOR:
        return models_folder() / "onnx" / "ultraface_slim_320_simplified.onnx"
    return benchmark_path(name)


def _is_vendors(origin: str) -> bool:
    """Whether a trial is a point of the Python core's own front."""
    vendors = origin == "start: Vela Size" or origin.startswith("start: Vela arena")
    return origin == "baseline" or (vendors and "planned" not in origin)


def _mean(rows: list[dict[str, Any]], column: str) -> float:
    return math.exp(statistics.mean(math.log(row[column]) for row in rows))


def _reached(rows: list[dict[str, Any]]) -> Iterator[bool]:
    for row in rows:
        yield row["cost"] <= row["front"]
        yield row["early"] <= row["cpp_default"]


COLUMNS = {
    "cost": "cost",
    "bound": "its bound",
    "cycles": "cycles",
    "sram": "SRAM",
    "python_front": "Python core's front",
    "cpp_front": "C++ core's front",
    "cpp_front_same": "the same, Python core's estimate",
    "early": f"cost after {EARLY}",
    "cpp_default": "plain `vela`",
    "cycles_alone": "cycles alone",
}


def _table(rows: list[dict[str, Any]]) -> str:
    """Markdown."""
    mean = {"network": "geometric mean", **{c: _mean(rows, c) for c in (*COLUMNS, "front")}}
    lines = [f"| network | {' | '.join(COLUMNS.values())} |", "|---" * (len(COLUMNS) + 1) + "|"]
    lines.extend(
        f"| {row['network']} | {' | '.join(f'{row[c]:.3f}' for c in COLUMNS)} |"
        for row in (*rows, mean)
    )
    rest = [row for row in rows if row["network"] != DETECTOR]
    above = [row["network"] for row in rows if row["cost"] > row["front"]]
    early = [row["network"] for row in rows if row["early"] > row["cpp_default"]]
    lines += [
        f"\n{1 - mean['cost'] / mean['front']:.1%} below the better of both fronts in the mean.",
        f"Without {DETECTOR}: cost {_mean(rest, 'cost'):.3f}, bound {_mean(rest, 'bound'):.3f}.",
        f"Above the better of both fronts: {', '.join(above) or 'none'}.",
        f"Worse than plain `vela` after {EARLY} evaluations: {', '.join(early) or 'none'}.",
        f"Evaluations: {min(r['evaluations'] for r in rows)} and more.",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
