"""``npu-tune rewrite``: an ONNX file with segments in stripes and layers in parts."""

from __future__ import annotations

from pathlib import Path

import click

from npu_tune.cli.options import model_argument
from npu_tune.cli.output import CommandResult, print_result


@click.command(short_help="Rewrites an ONNX file to compute layers in stripes or parts.")
@model_argument
@click.option(
    "--configuration",
    required=True,
    type=click.Path(path_type=Path),
    help="A JSON or TOML file that says what is rewritten.",
)
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="The ONNX file to write."
)
@click.option("--force", is_flag=True, help="Overwrite another file there.")
@print_result
def rewrite(model: str, configuration: Path, out: Path, *, force: bool) -> CommandResult:
    """Rewrites MODEL, an ONNX file or a built-in network, to compute the same in another way.

    Both are run on the same inputs; where an output differs, nothing is written.
    """
    from npu_tune.network.rewrite import plan_document, rewrite_file  # noqa: PLC0415 -- fast --help
    from npu_tune.validation import keys_called  # noqa: PLC0415

    with keys_called({"rewrite.out": "--out", "rewrite.force": "--force"}):
        made = rewrite_file(model, configuration, out, force=force)
    source, network, (before, after) = made.source, made.network, made.macs
    document = {
        "model": {"name": source.name, "sha256": source.digest},
        "file": str(out),
        "bytes": len(network.model_bytes),
        "layers": {"before": len(source.layers), "after": len(network.layers)},
        "macs": {"before": before, "after": after},
        "plan": plan_document(made.plan),
        "agreement": made.agreement.to_dict(),
    }
    more = f" ({after / before - 1:+.1%})" if before else ""
    text = (
        f"Wrote {out}: {len(source.layers):,} layers became {len(network.layers):,}, "
        f"{before:,} multiply-accumulates {after:,}{more}.\nRun beside its source, {made.agreement}."
    )
    return CommandResult(document, text)
