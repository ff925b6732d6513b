"""A program for the target ``command``, which does as the knob ``act`` of its request says."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

SLEEPER = [sys.executable, "-S", "-c", "import threading; threading.Event().wait()"]

NUMBERS = {"total_cycles": 100.0, "accuracy": 0.9}

PRINTED = {
    "no-json": "100 cycles",
    "no-object": "[1, 2]",
    "nothing": "",
    "not-a-number": '{"metrics": {"total_cycles": NaN, "accuracy": 0.9}}',
    "text-for-number": '{"metrics": {"total_cycles": "100", "accuracy": 0.9}}',
    "metric-less": '{"metrics": {"total_cycles": 100}}',
    "metric-more": '{"metrics": {"total_cycles": 100, "accuracy": 0.9, "joules": 1}}',
    "other-schema": '{"cycles": 100}',
    "illegal": '{"failure": "illegal", "message": "Tiles overlap."}',
    "inaccurate": '{"failure": "inaccurate", "message": "Only 3 dB."}',
    "unknown-failure": '{"failure": "bad luck"}',
    "deep": "[" * 100_000,
    "wrong-row": json.dumps({"metrics": NUMBERS, "profile": {"no such layer": {"cycles": 1}}}),
    "wrong-column": json.dumps({"metrics": NUMBERS, "profile": {"conv": {"ms": 1}}}),
    "no-file": json.dumps({"metrics": NUMBERS, "files": {"model": "gone.bin"}}),
    "no-file-name": json.dumps({"metrics": NUMBERS, "files": {"model": "nul\0.bin"}}),
    "long-file-name": json.dumps({"metrics": NUMBERS, "files": {"model": "x" * 5000}}),
    "foreign-file": json.dumps({"metrics": NUMBERS, "files": {"model": "/etc/hostname"}}),
}

WRITTEN = {
    "same-names": ("a/net.bin", "b/net.bin"),
    "reserved-name": ("configuration.json",),
    "one-file-twice": ("net.bin", "net.bin"),
}
"""Files that are written and named."""


def main() -> None:
    """Answers, or does something else."""
    request = json.load(sys.stdin)
    act = request["network"].get("act", "answer")
    sys.stderr.write("reads the network\ncompiles\n")
    sys.stderr.flush()
    if act in WRITTEN:
        for name in WRITTEN[act]:
            path = Path(name)
            path.parent.mkdir(exist_ok=True)
            path.write_text(name)
        files = {f"role{number}": name for number, name in enumerate(WRITTEN[act])}
        print(json.dumps({"metrics": NUMBERS, "files": files}))
    elif act in PRINTED:
        print(PRINTED[act])
    elif act.startswith("exit-"):
        sys.stderr.write("out of registers\n")
        sys.exit(int(act.removeprefix("exit-")))
    elif act == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif act == "hang":
        leave_child()
        threading.Event().wait()
    elif act == "loud":
        with contextlib.suppress(BrokenPipeError):
            while True:
                print("x" * 2**16)
    else:
        if act == "leave":
            leave_child()
        answer(request)


def leave_child() -> None:
    """Leaves a process in a session of its own behind, and its number in the file PIDS."""
    child = subprocess.Popen(SLEEPER, start_new_session=True, stdin=subprocess.DEVNULL)
    with Path(os.environ["PIDS"]).open("a") as file:
        file.write(f"{child.pid}\n")


def answer(request: dict) -> None:
    """Costs every layer by its bits."""
    profile = {
        layer["name"]: {"cycles": 10.0 * layer["knobs"].get("bits", 8) + len(layer["outputs"])}
        for layer in request["layers"]
    }
    Path("compiled.bin").write_bytes(Path(request["model"]).read_bytes()[:10])
    Path("compiled.bin").chmod(0o755)
    total = sum(row["cycles"] for row in profile.values())
    numbers = {"total_cycles": total, "accuracy": 0.9}
    files = {"model": "compiled.bin"}
    said = {"metrics": numbers, "profile": profile, "files": files}
    if "MEMORY" in os.environ:
        said["memory"] = {**memory(request), **json.loads(os.environ["MEMORY"])}
    print("done")
    print(json.dumps(said))


def memory(request: dict) -> dict:
    """The map of each layer until the next layer has read it, at the two ends of a memory."""
    layers = [layer["name"] for layer in request["layers"]]
    buffers = [
        {
            "name": f"map of {layer}",
            "layer": layer,
            "pool": "SRAM",
            "address": 64 * (number % 2),
            "size_bytes": 64,
            "first": number,
            "last": min(number + 1, len(layers) - 1),
        }
        for number, layer in enumerate(layers)
    ]
    return {"steps": layers, "buffers": buffers, "capacities": {"SRAM": 128}}


if __name__ == "__main__":
    main()
