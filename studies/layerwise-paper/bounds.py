"""Prints lower bounds of networks on Neural-ART, relative to their defaults, as on this page.

python studies/layerwise-paper/bounds.py [NETWORK ...]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from npu_tune.network import zoo_network
from npu_tune.targets import load_target
from npu_tune.targets.oracle import gap, require_bounded

POPULAR = (
    *("mobilenet-v1-1.0-224", "mobilenet-v2-1.0-224", "efficientnet-v2-b0-224", "squeezenet-224"),
    *("fd-mobilenet-0.5-224", "resnet8", "ds-cnn"),
)
SMALL = (
    *("st-mnist", "mobilenet-v1-0.25-96", "resnet32", "fd-mobilenet-0.25-128"),
    *("squeezenet-128-c101", "mobilenet-v2-0.35-128"),
)
WEIGHTS = {"latency_ms": 0.5, "ram_bytes": 0.5}


def row(name: str) -> str:
    """A network's bounds of latency, of RAM and of half the one and half the other."""
    with load_target("neural-art-stm32n6").bind(zoo_network(name, format="onnx")) as problem:
        default = problem.evaluate(problem.space.default).metrics
        bound = require_bounded(problem).bound()
    weighted = gap(bound, default, weights=WEIGHTS, baseline=default).least_cost
    shares = [bound.metrics[metric] / default[metric] for metric in WEIGHTS]
    return f"| {name} | {' | '.join(f'{cell:.3f}' for cell in (*shares, weighted))} |"


def main(given: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("networks", nargs="*", default=[*POPULAR, *SMALL])
    print("| network | latency | RAM | weighted |\n| --- | ---: | ---: | ---: |")
    for name in parser.parse_args(given).networks:
        print(row(name), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
