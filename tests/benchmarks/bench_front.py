"""How long exact fronts of Neural-ART take: `python tests/benchmarks/bench_front.py [NETWORK ...]`.

Prints processor seconds, because other programs may share the machine, and the size of the front.
"""

from __future__ import annotations

import argparse
import time

from npu_tune.errors import TargetError
from npu_tune.network import zoo_network
from npu_tune.targets import load_target
from npu_tune.targets.oracle import require_oracle

NETWORKS = ("ds-cnn", "mobilenet-v1-0.25-96", "resnet8", "mobilenet-v1-1.0-224")
OBJECTIVES = (("latency_ms", "ram_bytes"), ("latency_ms", "peak_live_bytes"), ("latency_ms",))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    parser.add_argument("--tolerance", type=float, default=0.0)
    given = parser.parse_args()
    print(
        f"{'network':24s} {'objectives':32s} {'CPU s':>8s} {'points':>7s} {'configurations':>15s}"
    )
    for name in given.networks:
        network = zoo_network(name, format="onnx")
        for objectives in OBJECTIVES:
            # A problem of its own: nothing is remembered of the runs before.
            problem = require_oracle(load_target("neural-art-stm32n6").bind(network))
            start = time.process_time()
            try:
                front = problem.front(objectives=objectives, tolerance=given.tolerance)
                size, space = str(len(front.points)), f"{front.configurations:.2g}"
            except TargetError:
                size = space = "-"
            seconds = time.process_time() - start
            names = ", ".join(objectives)
            print(f"{name:24s} {names:32s} {seconds:8.1f} {size:>7s} {space:>15s}", flush=True)


if __name__ == "__main__":
    main()
