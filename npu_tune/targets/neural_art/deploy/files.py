"""The files that the vendor's toolchain takes: a rewritten model, a pool file and a profile."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from npu_tune.network import Network
from npu_tune.network.rewrite import (
    Agreement,
    RewritePlan,
    StripedSegment,
    compare_models,
    plan_document,
    rewrite_model,
)
from npu_tune.targets.neural_art.compiler.scheduler import Run
from npu_tune.targets.neural_art.deploy.page import deployment_page
from npu_tune.targets.neural_art.hardware import Hardware, MemoryPool, PoolKind
from npu_tune.targets.neural_art.vendor import VendorOptions, VendorSetting, best_setting

PROFILE = "npu-tune"
"""Name of the profile in ``user_neuralart.json``."""

ALWAYS = "--all-buffers-info --mvei --cache-maintenance --native-float"
ALWAYS_LAST = "--enable-epoch-controller"
"""Options of the vendor's shipped profile that npu-tune leaves as they are."""

_REGIONS = {
    "cpuRAM1": "AXISRAM1",
    "cpuRAM2": "AXISRAM2",
    "npuRAM3": "AXISRAM3",
    "npuRAM4": "AXISRAM4",
    "npuRAM5": "AXISRAM5",
    "npuRAM6": "AXISRAM6",
    "hyperRAM": "xSPI1",
    "octoFlash": "xSPI2",
}
"""Names of the memories by pool, as the vendor's pool files have them."""


def write_deployable(
    folder: Path,
    network: Network,
    run: Run,
    hardware: Hardware,
    options: VendorOptions,
    *,
    metrics: Mapping[str, float],
    settings: Sequence[VendorSetting],
) -> dict[str, Path]:
    """Writes what ``stedgeai`` needs, and a page on what was chosen.

    Args:
        folder: to write into; it exists.
        network: an ONNX file's.
        run: of the configuration.
        hardware: that it ran on.
        options: of the whole network.
        metrics: of the configuration.
        settings: every network-wide setting of the vendor's compiler, the shipped one first.

    Returns:
        paths by role; ``model`` is the rewritten ONNX file.

    Raises:
        ModelError: where an operator cannot be cut.
        RewriteError: where the rewritten network does not compute the same.
    """
    plan = rewrite_plan(run)
    content, agreement = _rewritten(network, plan)
    files = {
        "model": folder / f"{network.name}.onnx",
        "rewriting": folder / "rewrite.json",
        "pools": folder / "stm32n6.mpool",
        "profile": folder / "user_neuralart.json",
        "page": folder / "DEPLOY.md",
    }
    files["model"].write_bytes(content)
    documents: dict[str, Any] = {
        "rewriting": plan_document(plan),
        "pools": pool_document(run.machine.memory.pools, hardware.flash, options.constants),
        "profile": profile_document(options, pools=files["pools"].name),
    }
    for role, document in documents.items():
        files[role].write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    page = deployment_page(
        network.name,
        options,
        plan,
        agreement,
        rows=comparison_rows(metrics, settings),
        command=command_line(files["model"].name, files["profile"].name),
    )
    files["page"].write_text(page, encoding="utf-8")
    return files


def rewrite_plan(run: Run) -> RewritePlan:
    """The segments of a run, by the names of their layers."""
    return RewritePlan(
        segments=tuple(
            StripedSegment(step.epoch.span.names, step.epoch.segment.stripes)
            for step in run.steps
            if step.epoch.segment is not None
        )
    )


def _rewritten(network: Network, plan: RewritePlan) -> tuple[bytes, Agreement | None]:
    """The model to deploy; None where it is the file as it was."""
    import onnx  # noqa: PLC0415 - heavy

    if not plan.segments:
        return network.model_bytes, None
    original = onnx.load_model_from_string(network.model_bytes)
    rewritten = rewrite_model(original, plan, name=network.name)
    agreement = compare_models(original, rewritten, name=network.name)
    return rewritten.SerializeToString(deterministic=True), agreement


def profile_document(options: VendorOptions, *, pools: str) -> dict[str, Any]:
    """``user_neuralart.json``: one profile with the options and the pool file.

    Args:
        options: of the compiler.
        pools: path of the pool file, from the profile's own folder.
    """
    line = f"{ALWAYS} {options.command_line} {ALWAYS_LAST}"
    return {
        "Globals": {},
        "Profiles": {PROFILE: {"memory_pool": f"./{pools}", "options": line}},
    }


def pool_document(
    pools: Sequence[MemoryPool], flash: MemoryPool, constants: str
) -> dict[str, Any]:
    """The memory-pool file.

    Args:
        pools: of RAM that may be used.
        flash: with the weights.
        constants: kind of pool that is preferred for weights.
    """
    return {
        "params": {"param": []},
        "memory": {
            "mem_file_prefix": "atonbuf",
            "mempools": [_pool(pool, constants) for pool in (*pools, flash)],
        },
    }


def _pool(pool: MemoryPool, constants: str) -> dict[str, Any]:
    near, outside = pool.kind is PoolKind.NPU, pool.kind in (PoolKind.EXTERNAL, PoolKind.FLASH)
    properties: dict[str, Any] = {
        "rights": "ACC_READ" if pool.kind is PoolKind.FLASH else "ACC_WRITE",
        "throughput": "HIGH" if near else "MID",
        "latency": "LOW" if near else "HIGH" if outside else "MID",
        "byteWidth": pool.width_bytes,
        "freqRatio": pool.clock_ratio,
        "read_power": pool.read_power,
        "write_power": pool.write_power,
    }
    if outside:
        properties["cacheable"] = "CACHEABLE_ON"
    # Flash stays, for the weights that find no room elsewhere.
    if pool.kind is PoolKind.FLASH or pool.kind == constants:
        properties["constants_preferred"] = "true"
    return {
        "fname": _REGIONS.get(pool.name, pool.name),
        "name": pool.name,
        "fformat": "FORMAT_RAW",
        "prop": properties,
        "offset": {"value": f"0x{pool.base:08x}", "magnitude": "BYTES"},
        "size": {"value": str(pool.size_bytes), "magnitude": "BYTES"},
    }


def command_line(model: str, profile: str) -> str:
    """The vendor's command for these files."""
    return (
        f"stedgeai generate --model {model} --target stm32n6 --st-neural-art {PROFILE}@{profile}"
    )


def comparison_rows(
    metrics: Mapping[str, float], settings: Sequence[VendorSetting]
) -> list[tuple[str, Mapping[str, float]]]:
    """The shipped profile, the vendor's best settings and this configuration, by label."""
    shipped = settings[0].metrics

    def relative(name: str) -> Callable[[Mapping[str, float]], float]:
        return lambda row: row[name] / shipped[name]

    latency, ram = relative("latency_ms"), relative("ram_bytes")
    rows = [("shipped profile", shipped)]
    for label, cost in (
        ("fastest network-wide setting", latency),
        ("network-wide setting with the least RAM", ram),
        ("best network-wide setting, both alike", lambda row: latency(row) + ram(row)),
    ):
        best = best_setting(settings, cost)
        if best is not None:
            rows.append((f"{label} ({best.options})", best.metrics))
    return [*rows, ("this configuration", metrics)]
