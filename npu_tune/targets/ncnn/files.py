"""The files of one configuration."""

from __future__ import annotations

import json
from pathlib import Path

from npu_tune.targets.ncnn.engine import BIN, PARAM, PORTS
from npu_tune.targets.ncnn.plan import LayerPlan
from npu_tune.targets.ncnn.translator import blob_shape
from npu_tune.targets.ncnn.writer import Limits, NcnnWriter


def write_files(writer: NcnnWriter, plan: LayerPlan, limits: Limits, folder: Path) -> None:
    """Writes a plan's files."""
    program = writer.program
    (folder / PARAM).write_text(writer.text(plan), encoding="utf-8")
    with (folder / BIN).open("wb") as stream:
        stream.writelines(writer.weights(plan, limits))
    ports = {
        "inputs": {port.tensor: (port.blob, blob_shape(port.shape)) for port in program.inputs},
        "outputs": [(port.blob, port.shape) for port in program.outputs],
    }
    (folder / PORTS).write_text(json.dumps(ports), encoding="utf-8")
