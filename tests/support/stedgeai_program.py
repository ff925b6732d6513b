"""Stands in for ST's `stedgeai`, which is not to be had: writes a recorded report.

The report has the fields of ``network_c_info.json`` (schema 2.0) that matter, with the figures of a
small network's report as ST's tool wrote it. The options that it is called with change one figure, so
that a test sees them arrive.
"""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

CYCLES = [0, 0, 4800, 6402, 3200, 51200, 27648, 82944, 165888, 12288, 768, 526, 0]
COMPUTE = [0, 0, 4800, 6402, 3200, 51200, 25600, 13824, 27648, 683, 43, 526, 0]
MAPPINGS = ["NODE_HW"] * 2 + ["NODE_SW"] * 2 + ["NODE_HW"] * 7 + ["NODE_SW", "NODE_NO_X"]


def pool(name: str, used: int, rights: str = "ACC_WRITE", subpools: tuple[int, ...] = ()) -> dict:
    """One entry of ``memory_pools``."""
    return {"name": name, "used_size_bytes": used, "rights": rights, "subpools": list(subpools)}


def report(level: int = 3) -> dict:
    """A report; a level below 3 takes more cycles."""
    nodes = [
        {"id": number, "name": f"epoch_{number}", "mapping": mapping}
        for number, mapping in enumerate(MAPPINGS)
    ]
    return {
        "json_schema_version": "2.0",
        "graphs": [{"nodes": nodes}],
        "memory_footprint": {"activations": 18944, "weights": 49809, "io": [0, 0]},
        "memory_pools": [
            pool("npuRAM6", 0),
            pool("npuRAM5", 18944),
            pool("cpuRAM2", 0),
            pool("hyperRAM", 4096),
            pool("octoFlash", 49809, "ACC_READ"),
            pool("cpuRAM2_npuRAM3_npuRAM4_npuRAM5_npuRAM6", 1985024, subpools=(5, 4, 3, 2, 1)),
        ],
        "power_estimates": [
            {
                "node_id": number,
                "compute_cycles": compute,
                "max_cycles": cycles + 1000 * (3 - level),
            }
            for number, (compute, cycles) in enumerate(zip(COMPUTE, CYCLES, strict=True))
        ],
    }


def main() -> None:
    """Does as `stedgeai generate` or `stedgeai --version`."""
    if "--version" in sys.argv:
        print("ST Edge AI Core v4.0.0")
        return
    arguments = dict(zip(sys.argv[2::2], sys.argv[3::2], strict=True))
    name, _, file = arguments["--st-neural-art"].partition("@")
    profile = json.loads(Path(file).read_text())["Profiles"][name]
    json.loads(Path(profile["memory_pool"]).read_text())
    options = shlex.split(profile["options"])
    if "--Oconv-split-cw" in options:
        sys.exit("E010(InvalidModelError): tensors do not fit")
    level = next(int(word[2:]) for word in options if word in {"-O0", "-O1", "-O2", "-O3"})
    out = Path(arguments["--output"])
    out.mkdir(parents=True)
    (out / "network.c").write_text("/* generated */\n")
    (out / "network_c_info.json").write_text(json.dumps(report(level)))


if __name__ == "__main__":
    main()
