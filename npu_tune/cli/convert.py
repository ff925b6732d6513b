"""``npu-tune convert``: a float ONNX model written as int8 TFLite."""

from __future__ import annotations

from pathlib import Path

import click

from npu_tune.cli.options import calibration_option, model_argument, no_check_option
from npu_tune.cli.output import CommandResult, print_result


@click.command(short_help="Writes a float ONNX model as int8 TFLite.")
@model_argument
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="The TFLite file to write."
)
@calibration_option
@no_check_option
@print_result
def convert(model: str, out: Path, *, calibration: Path | None, no_check: bool) -> CommandResult:
    """Writes MODEL, a float ONNX file or a built-in network, as an int8 TFLite file.

    Both are run on the same inputs; where the outputs are too far apart, nothing is written.
    """
    from npu_tune.api.problems import convert_model  # noqa: PLC0415 -- keeps --help fast
    from npu_tune.validation import keys_called  # noqa: PLC0415

    with keys_called({"convert.out": "--out"}):
        converted = convert_model(model, out, calibration=calibration, check=not no_check)
    network, check = converted.network, converted.check
    document = {
        "model": {"name": network.name, "sha256": network.digest},
        "file": str(out),
        "bytes": len(network.model_bytes),
        "layers": len(network.layers),
        "check": None if check is None else check.to_dict(),
    }
    size = f"{len(network.layers)} layers, {len(network.model_bytes):,} bytes"
    kept = "" if check is None else f"\nIt keeps {check}."
    return CommandResult(document, f"Wrote {out}: {size}.{kept}")
