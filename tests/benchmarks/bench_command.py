"""What an evaluation by a command costs beside the program itself.

    python tests/benchmarks/bench_command.py

The program is ``cat``, which prints a recorded answer, so that nearly all of the time is the
machinery's: the request, a folder for the program, the process that runs it, the answer with a row
per layer. The same program is run by ``subprocess.run`` alone, in turns with it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from npu_tune.network import load_network
from npu_tune.targets import load_target

LIMIT_MS = 10.0


def main() -> int:
    """Prints the times; 1 where the overhead is above what it may be."""
    options = _options()
    network = load_network(options.model)
    rows = {layer.name: {"cycles": 1000.0} for layer in network.layers}
    with tempfile.TemporaryDirectory() as name:
        answer = Path(name) / "answer.json"
        answer.write_text(json.dumps({"metrics": {"total_cycles": 1.0}, "profile": rows}))
        argv = ["cat", str(answer)]
        table = {
            "argv": argv,
            "metrics": [{"name": "total_cycles", "unit": "cycles", "kind": "estimated"}],
            "profile": {},
            "knobs": [{"name": "bits", "values": [4, 8], "default": 8}],
        }
        ours, alone = [], []
        with load_target("command", {"command": table}).bind(network) as problem:
            problem.evaluate({})
            for _ in range(options.evaluations):
                ours.append(_milliseconds(lambda: problem.evaluate({})))
                alone.append(
                    _milliseconds(lambda: subprocess.run(argv, capture_output=True, check=True))
                )
    overhead = statistics.median(ours) - statistics.median(alone)
    print(f"{network.name}: {len(network.layers)} layers, {options.evaluations} evaluations")
    print(f"evaluation  {statistics.median(ours):6.2f} ms, at most {max(ours):.2f} ms")
    print(f"the program {statistics.median(alone):6.2f} ms, at most {max(alone):.2f} ms")
    print(f"overhead    {overhead:6.2f} ms of {LIMIT_MS:g} ms")
    return int(overhead > LIMIT_MS)


def _milliseconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - start)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--model", default="mobilenet-v2", help="whose layers are in the request")
    parser.add_argument("--evaluations", type=int, default=200)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
