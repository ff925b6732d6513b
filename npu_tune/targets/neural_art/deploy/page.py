"""A page for the engineer who carries a configuration over to the vendor's tools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from npu_tune.network.rewrite import Agreement, RewritePlan
from npu_tune.targets.neural_art.vendor import VendorOptions

_CARRIED_OVER = (
    ("options of the whole network", "in the profile's `options`"),
    ("memory pools, and the kind that holds weights", "in the pool file (`constants_preferred`)"),
    (
        "depth-first segments",
        "as slices, copies of the layers and a concatenation in the ONNX file",
    ),
)

_NOT_CARRIED_OVER = (
    "how many accelerators share one layer, and over what",
    "which layers share an epoch",
    "stripes whose rows around are kept in a buffer",
    "weights that are preloaded, or resident layer by layer",
    "where a single map lies",
)


def deployment_page(
    network: str,
    options: VendorOptions,
    plan: RewritePlan,
    agreement: Agreement | None,
    *,
    rows: Sequence[tuple[str, Mapping[str, float]]],
    command: str,
) -> str:
    """The page as Markdown.

    Args:
        network: its name.
        options: of the whole network.
        plan: what was rewritten.
        agreement: how the outputs compare with the source's; None where nothing was rewritten.
        rows: metrics by label.
        command: of the vendor's tool.
    """
    segments = [
        f"- {segment.layers[0]} to {segment.layers[-1]} ({len(segment.layers)} layers) in "
        f"{segment.stripes} stripes"
        for segment in plan.segments
    ]
    carried = [f"| {what} | {how} |" for what, how in _CARRIED_OVER]
    lines = [
        f"# {network} for STM32N6",
        "",
        "```sh",
        command,
        "```",
        "",
        f"Options: `{options}`.",
        "",
        *(segments or ["No layers were rewritten: the model is the file as it was."]),
        "",
        _agreement_text(agreement),
        "",
        "A float model must be quantized (QDQ, 8 bits) before the accelerator takes it; the rewriting",
        "works on the quantized file as well (`npu-tune rewrite MODEL --configuration rewrite.json`).",
        "",
        "## What it costs in the model",
        "",
        "All figures are *simulated* by npu-tune; nothing was compiled by the vendor's tools or run",
        "on a board.",
        "",
        "| | latency | RAM | weights read from flash |",
        "| --- | ---: | ---: | ---: |",
        *(_row(label, metrics) for label, metrics in rows),
        "",
        "## What is carried over",
        "",
        "| choice | how |",
        "| --- | --- |",
        *carried,
        "",
        "The vendor's tools have no switch for these, so that a deployable configuration leaves them",
        "to the compiler:",
        "",
        *(f"- {what}" for what in _NOT_CARRIED_OVER),
        "",
    ]
    return "\n".join(lines)


def _agreement_text(agreement: Agreement | None) -> str:
    if agreement is None:
        return ""
    if agreement.identical:
        return (
            f"Its outputs equal those of the source bit for bit ({agreement.samples} runs in "
            "onnxruntime without its optimizations, which may sum floats in another order)."
        )
    worst = agreement.worst
    return (
        f"Its outputs agree with those of the source to {worst.decibels:.0f} dB "
        f"({agreement.samples} runs in onnxruntime; the order of float sums changed)."
    )


def _row(label: str, metrics: Mapping[str, float]) -> str:
    return (
        f"| {label} | {metrics['latency_ms']:.3f} ms | {metrics['ram_bytes'] / 1024:.1f} KiB | "
        f"{metrics['traffic_flash_bytes'] / 1024:.1f} KiB |"
    )
