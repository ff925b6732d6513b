"""Names that a shell completes, written down so that completing imports nothing.

A test holds them against the registries. Targets and samplers of other packages are not among them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

TARGETS = (
    "command",
    "cpu-onnxruntime",
    *(f"ethos-u55-{macs}" for macs in (32, 64, 128, 256)),
    *(f"ethos-u65-{macs}" for macs in (256, 512)),
    *(f"ethos-u85-{macs}" for macs in (128, 256, 512, 1024, 2048)),
    "cpu-ncnn",
    "gpu-ncnn",
    *(f"neural-art-{name}" for name in ("dimc", "stm32h7p", "stm32n6", "custom")),
)

SAMPLERS = (
    "annealing",
    "gp",
    "layerwise",
    "nsga2",
    "nsga3",
    "profile",
    "qlearning",
    "qlearning-offline",
    "random",
    "tpe",
)

MODES = ("weighted", "pareto")

_SIZES = ("96", "128", "160", "192", "224")

_VARIANTS: Mapping[str, tuple[str, ...]] = {
    "resnet8": (),
    "resnet32": (),
    "ds-cnn": (),
    "autoencoder": (),
    "st-mnist": (),
    "mobilenet-v1": ("0.25", "0.5", "0.75", "1.0"),
    "mobilenet-v2": ("0.35", "0.5", "0.75", "1.0", "1.3", "1.4"),
    "fd-mobilenet": ("0.25", "0.5", "0.75", "1.0"),
    "st-fd-mobilenet": ("",),
    "efficientnet-v2-b0": ("",),
    "squeezenet": ("",),
    "squeezenet-v1.0": (),
    "squeezenext": (),
    "resnet50-v2": (),
    "mnasnet-a1": (),
    "yolo-tiny": (),
    "ultraface": (),
}
"""By family of built-in networks, its widths; an empty one where only the resolution varies."""

_MEASURED = (
    "latency_ratio",
    "latency_ms",
    "peak_memory_bytes",
    "run_memory_bytes",
    "snr_db",
    "accuracy",
    "accuracy_drop",
)

METRICS: Mapping[str, tuple[str, ...]] = {
    "ethos-u": (
        "full_cycles",
        "sram_bytes",
        "cycles",
        "latency_ms",
        "flash_bytes",
        "dram_bytes",
        "traffic_off_chip_bytes",
        "traffic_sram_bytes",
        "npu_share",
    ),
    "neural-art": (
        "latency_ms",
        "ram_bytes",
        "cycles",
        "energy",
        "peak_live_bytes",
        "internal_ram_bytes",
        "external_ram_bytes",
        "flash_bytes",
        "traffic_ram_bytes",
        "traffic_external_bytes",
        "traffic_flash_bytes",
        "hardware_epochs",
        "software_epochs",
    ),
    "cpu-": _MEASURED,
    "gpu-": _MEASURED,
}
"""By how the names of targets begin."""


def network_names() -> Iterator[str]:
    """The families of built-in networks, each with its variants."""
    for family, widths in _VARIANTS.items():
        yield family
        for width in widths:
            yield from (f"{family}-{width}-{size}".replace("--", "-") for size in _SIZES)


def metric_names(target: str | None) -> tuple[str, ...]:
    """The metrics of a target; those of all where it is not known which."""
    for beginning, names in METRICS.items():
        if target is not None and target.startswith(beginning):
            return names
    return tuple(dict.fromkeys(name for names in METRICS.values() for name in names))
