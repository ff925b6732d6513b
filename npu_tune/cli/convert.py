"""``npu-tune convert``: a float ONNX model written as int8 TFLite."""

from __future__ import annotations

from pathlib import Path

import click

from npu_tune.cli.answer import Answer, answers
from npu_tune.cli.options import calibration_option, model_argument


@click.command(short_help="Writes a float ONNX model as int8 TFLite.")
@model_argument
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="The TFLite file to write."
)
@calibration_option
@answers
def convert(model: str, out: Path, calibration: Path | None) -> Answer:
    """Writes MODEL, a float ONNX file or a built-in network, as an int8 TFLite file."""
    from npu_tune.network import load_calibration, load_network, to_int8  # noqa: PLC0415
    from npu_tune.tuning.study import require_calibratable  # noqa: PLC0415

    given = load_network(model)
    if calibration is not None:
        require_calibratable(given, calibration)
    samples = None if calibration is None else load_calibration(calibration, given)
    network = to_int8(given, calibration=samples)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(network.model_bytes)
    document = {
        "model": {"name": network.name, "sha256": network.digest},
        "file": str(out),
        "bytes": len(network.model_bytes),
        "layers": len(network.layers),
    }
    size = f"{len(network.layers)} layers, {len(network.model_bytes):,} bytes"
    return Answer(document, f"Wrote {out}: {size}.")
