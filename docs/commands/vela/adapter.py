"""Runs Arm's `vela` command for one configuration of npu-tune's target `command`.

What stands behind this script's name in `argv` goes to `vela` as it is; the knobs of the network
become options of the same meaning. Needs Python's standard library, and `vela` on the PATH.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

OPTIONS = {
    "strategy": "--optimise",
    "arena_limit": "--arena-cache-size",
    "tensor_allocator": "--tensor-allocator",
}


def main() -> None:
    """Reads a request, compiles, prints the answer."""
    request = json.load(sys.stdin)
    command = ["vela", request["model"], "--output-dir", ".", *sys.argv[1:]]
    for knob, value in request["network"].items():
        if value != "auto":
            command += [OPTIONS[knob], str(value)]
    ended = subprocess.run(command, check=False, stdout=sys.stderr, stderr=sys.stderr)
    if ended.returncode:
        sys.exit(ended.returncode)
    compiled, summary = next(Path().glob("*_vela.tflite")), next(Path().glob("*_summary_*.csv"))
    with summary.open(encoding="utf-8") as file:
        row = next(csv.DictReader(file))
    print(json.dumps({"metrics": metrics(row), "files": {"model": str(compiled)}}))


def metrics(row: dict[str, str]) -> dict[str, float]:
    """The figures of Vela's summary; it states sizes in KiB and times in seconds."""
    kib = {memory: 1024 * float(row[f"{memory}_memory_used"]) for memory in ("sram", "dram")}
    flash = 1024 * sum(
        float(row[f"{place}_flash_memory_used"]) for place in ("on_chip", "off_chip")
    )
    return {
        "cycles": float(row["cycles_total"]),
        "sram_bytes": kib["sram"],
        "latency_ms": 1000 * float(row["inference_time"]),
        "flash_bytes": flash,
        "dram_bytes": kib["dram"],
        "traffic_sram_bytes": float(row["sram_total_bytes"]),
    }


if __name__ == "__main__":
    main()
