"""Runs ST's `stedgeai` on a deployable export, for npu-tune's target `command`.

Called with the export's profile (`user_neuralart.json`) and pool file (`stm32n6.mpool`). The knobs of the
network replace options of that profile; a knob that stands at `exported` leaves its option as it is.
Needs Python's standard library, and `stedgeai` of ST Edge AI Core on the PATH.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

PROFILE = "npu-tune"
EXPORTED = "exported"

ON_CHIP = ("flexMEM", "cpuRAM", "npuRAM", "vencRAM")
"""How the names of memory pools on the chip begin."""

SPLITS = ("cw", "kw", "stripe", "stripe-full")
LEVELS = ("-O0", "-O1", "-O2", "-O3")
SWITCHES = {
    "alternative_scheduler": "--Oalt-sched",
    "shrink_buffers": "--Os",
    "cache_maintenance": "--Ocache-opt",
    "virtual_pools": "--enable-virtual-mem-pools",
}
NUMBERS = {"max_ca_pipe": "--Omax-ca-pipe", "conv_split_threshold": "--Oconv-split-th"}


def main() -> None:
    """Reads a request, compiles, prints the answer."""
    exported, pools = map(Path, sys.argv[1:3])
    request = json.load(sys.stdin)
    profiles = json.loads(exported.read_text(encoding="utf-8"))["Profiles"]
    given = shlex.split(profiles[PROFILE]["options"])
    options = " ".join(with_knobs(given, request["network"]))
    profile = {"memory_pool": str(pools.resolve()), "options": options}
    document = {"Globals": {}, "Profiles": {PROFILE: profile}}
    Path("user_neuralart.json").write_text(json.dumps(document), encoding="utf-8")
    command = [
        "stedgeai", "generate", "--model", request["model"], "--target", "stm32n6",
        "--st-neural-art", f"{PROFILE}@user_neuralart.json", "--output", "out", "--workspace", "work",
    ]  # fmt: skip
    ended = subprocess.run(command, check=False, stdout=sys.stderr, stderr=sys.stderr)
    if ended.returncode:
        sys.exit(ended.returncode)
    report = find_report(Path("out"))
    answer = {
        "metrics": read_metrics(json.loads(report.read_text(encoding="utf-8"))),
        "notes": [f"Options: {options}"],
        "files": deployed(Path("out")),
    }
    print(json.dumps(answer))


def with_knobs(options: list[str], knobs: dict[str, str | int | float]) -> list[str]:
    """The options of a profile with those of the knobs in their place."""
    kept = list(options)
    for knob, value in knobs.items():
        if value == EXPORTED:
            continue
        if knob == "level":
            kept = [*_without(kept, LEVELS), f"-{value}"]
        elif knob == "conv_split":
            kept = _without(kept, (f"--Oconv-split-{each}" for each in SPLITS))
            kept += [] if value == "none" else [f"--Oconv-split-{value}"]
        elif knob in NUMBERS:
            kept = [*_without(kept, [NUMBERS[knob]], values=1), NUMBERS[knob], str(value)]
        else:
            kept = _without(kept, [SWITCHES[knob]]) + ([SWITCHES[knob]] if value == "on" else [])
    return kept


def _without(options: list[str], names: Iterable[str], values: int = 0) -> list[str]:
    """Options without some, and without the values that stand behind them."""
    names, kept, skip = set(names), [], 0
    for word in options:
        if skip:
            skip -= 1
        elif word in names:
            skip = values
        else:
            kept.append(word)
    return kept


def find_report(folder: Path) -> Path:
    """The compiler's report on what it has made; `network_c_info.json` where nothing is renamed."""
    found = sorted(folder.rglob("*_c_info.json"))
    if not found:
        sys.exit(f"stedgeai has written no *_c_info.json into {folder}.")
    return found[0]


def read_metrics(report: dict) -> dict[str, float]:
    """The figures of a report (schema 2.0).

    Cycles are the compiler's own estimate: the longest of computing and streaming in each epoch,
    summed. Memory is the sum over pools of the bytes used in each, as ST states it; pools made of
    other pools are left out, since their bytes are counted there.
    """
    estimates = report["power_estimates"]
    pools = [pool for pool in report["memory_pools"] if not pool["subpools"]]
    writable = [pool for pool in pools if "WRITE" in pool["rights"]]
    on_chip = [pool for pool in writable if pool["name"].startswith(ON_CHIP)]
    used = {pool["name"]: pool["used_size_bytes"] for pool in pools}
    ram = sum(pool["used_size_bytes"] for pool in on_chip)
    epochs = report["graphs"][0]["nodes"]
    return {
        "estimated_cycles": sum(each["max_cycles"] for each in estimates),
        "compute_cycles": sum(each["compute_cycles"] for each in estimates),
        "ram_bytes": ram,
        "external_ram_bytes": sum(used[pool["name"]] for pool in writable) - ram,
        "weights_bytes": report["memory_footprint"]["weights"],
        "hardware_epochs": sum(each["mapping"] == "NODE_HW" for each in epochs),
        "software_epochs": sum(each["mapping"].startswith("NODE_SW") for each in epochs),
    }


def deployed(folder: Path) -> dict[str, str]:
    """Generated sources and memory images by role; the report is one of them."""
    files = {path.name: str(path) for path in sorted(folder.iterdir()) if path.is_file()}
    if "network.c" in files:
        files = {"model": files.pop("network.c"), **files}
    return files


if __name__ == "__main__":
    main()
