"""Prints lower bounds of networks on Neural-ART, relative to their defaults.

`python studies/layerwise-paper/bounds.py [NETWORK ...]`, by default those of the comparisons with
transformations.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from npu_tune.compare import load_comparison
from npu_tune.network import zoo_network
from npu_tune.targets import load_target
from npu_tune.targets.oracle import gap, require_bounded

FOLDER = Path(__file__).parent
COMPARISONS = ("transformed_usual.toml", "transformed.toml")
WEIGHTS = {"latency_ms": 0.5, "ram_bytes": 0.5}


def row(name: str) -> str:
    """A network's bounds of latency, of RAM and of half the one and half the other."""
    with load_target("neural-art-stm32n6").bind(zoo_network(name, format="onnx")) as problem:
        default = problem.evaluate(problem.space.default).metrics
        bound = require_bounded(problem).bound()
    weighted = gap(bound, default, weights=WEIGHTS, baseline=default).least_cost
    shares = [bound.metrics[metric] / default[metric] for metric in WEIGHTS]
    return f"| {name} | {' | '.join(f'{cell:.3f}' for cell in (*shares, weighted))} |"


def compared() -> list[str]:
    """The networks of the comparisons, each once."""
    files = (load_comparison(FOLDER / name) for name in COMPARISONS)
    return list(dict.fromkeys(network.title for file in files for network in file.network))


def main(given: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("networks", nargs="*", default=compared())
    print("| network | latency | RAM | weighted |\n| --- | ---: | ---: | ---: |")
    for name in parser.parse_args(given).networks:
        print(row(name), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
