"""Prints lower bounds of networks on Neural-ART, and how near to them the recorded runs came.

`python studies/layerwise-paper/bounds.py [NETWORK ...]`, by default those of the comparisons with
transformations, and then the medians of each. All figures are relative to the default.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from statistics import median

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER.parent))

from cells import markdown, percent  # noqa: E402 -- stands in the folder above
from figures import replayed  # noqa: E402 -- the same

from npu_tune.compare import load_comparison  # noqa: E402
from npu_tune.network import zoo_network  # noqa: E402
from npu_tune.targets import load_target  # noqa: E402
from npu_tune.targets.oracle import gap, require_bounded  # noqa: E402

COMPARISONS = ("transformed_usual.toml", "transformed.toml")
LONGER = "transformed_1000.toml"
"""More runs of some of the same networks."""
WEIGHTS = {"latency_ms": 0.5, "ram_bytes": 0.5}
WEIGHTED = "weighted"
HEADER = ("network", "latency", "RAM", WEIGHTED, "best found, weighted", "above the bound")


@cache
def bounds(name: str) -> tuple[float, float, float]:
    """A network's bounds of latency, of RAM and of half the one and half the other."""
    with load_target("neural-art-stm32n6").bind(zoo_network(name, format="onnx")) as problem:
        default = problem.evaluate(problem.space.default).metrics
        bound = require_bounded(problem).bound()
    latency, ram = (bound.metrics[metric] / default[metric] for metric in WEIGHTS)
    return latency, ram, gap(bound, default, weights=WEIGHTS, baseline=default).least_cost


@cache
def best_found() -> dict[str, float]:
    """The least weighted cost of all recorded runs, by network."""
    found: dict[str, float] = {}
    for file in (*COMPARISONS, LONGER):
        for name, curve in replayed(FOLDER / file).problems.items():
            if name.objective == WEIGHTED:
                cost = curve.best_known.cost
                found[name.network] = min(cost, found.get(name.network, cost))
    return found


def row(name: str) -> str:
    """A network's bounds and what was found, as a row of the table."""
    least = bounds(name)
    best = best_found().get(name)
    found = ["-", "-"] if best is None else [f"{best:.3f}", _above(best, least[-1])]
    return _line([name, *(f"{share:.3f}" for share in least), *found])


def medians(file: str) -> str:
    """The medians of the weighted bounds and of what was found over a comparison's networks."""
    names = _networks(file)
    least, best = (
        median(costs)
        for costs in ([bounds(name)[-1] for name in names], [best_found()[name] for name in names])
    )
    title = f"median of {Path(file).stem}"
    return _line([title, "-", "-", f"{least:.3f}", f"{best:.3f}", _above(best, least)])


def compared() -> list[str]:
    """The networks of the comparisons, each once."""
    return list(dict.fromkeys(name for file in COMPARISONS for name in _networks(file)))


def _networks(file: str) -> list[str]:
    return [network.title for network in load_comparison(FOLDER / file).network]


def _above(cost: float, least: float) -> str:
    # Rounding sets a cost that is the bound a hair below it.
    return percent(round(cost / least - 1, 9) + 0.0, 1)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main(given: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("networks", nargs="*")
    names = parser.parse_args(given).networks
    print(markdown(HEADER, []))
    for name in names or compared():
        print(row(name), flush=True)
    for file in () if names else COMPARISONS:
        print(medians(file), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
