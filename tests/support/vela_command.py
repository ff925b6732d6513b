"""Runs Arm's own command line, as the reference that targets are compared with."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

from npu_tune.network import Network
from npu_tune.targets.ethos_u.target import EthosUTarget


def vela_metrics(
    network: Network, target: EthosUTarget, folder: Path, *options: str
) -> dict[str, float]:
    """Cycles and bytes of a compilation by Vela's Python core.

    Args:
        network: a TFLite network.
        target: accelerator, system config and memory mode.
        folder: where the compiled file is left, as ``model_vela.tflite``.
        options: further options of the command.
    """
    model = folder / "model.tflite"
    model.write_bytes(network.model_bytes)
    command = [
        sys.executable, "-m", "ethosu.vela", str(model), "--output-dir", str(folder),
        "--config", target.ini, "--accelerator-config", target.accelerator,
        "--system-config", target.system_config, "--memory-mode", target.memory_mode,
        "--debug-force-legacy-core", *options,
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    with (folder / f"model_summary_{target.system_config}.csv").open() as file:
        row = next(csv.DictReader(file))
    kib = {k: float(v) * 1024 for k, v in row.items() if k.endswith("memory_used")}
    return {
        "cycles": float(row["cycles_total"]),
        "sram_bytes": kib["sram_memory_used"],
        "flash_bytes": kib["off_chip_flash_memory_used"] + kib["on_chip_flash_memory_used"],
        "dram_bytes": kib["dram_memory_used"],
        "traffic_off_chip_bytes": float(row["dram_total_bytes"])
        + float(row["off_chip_flash_total_bytes"]),
        "traffic_sram_bytes": float(row["sram_total_bytes"]),
        "latency_ms": float(row["inference_time"]) * 1e3,
    }
