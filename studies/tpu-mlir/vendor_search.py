"""What the vendor's own search for mixed precision finds, at every level of optimization.

    python studies/tpu-mlir/vendor_search.py --again resnet8 ds-cnn   # searches, writes the .csv
    python studies/tpu-mlir/vendor_search.py                          # prints the recorded table

The vendor's `run_calibration --search search_qtable` takes layers out of INT8 into F16 until the
outputs are as similar as is asked for. It is asked for several similarities, and what it leaves
is compiled by the adapter, so that cycles and noise are of the same kind as everybody's. Searching
needs TPU_MLIR_HOME and Graphviz (`dot`), which the vendor's search calls.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from vendor_rows import Row, fewest_cycles, make_again_on_request, read_rows
from vendor_settings import COMMAND, HERE

sys.path.insert(0, str(COMMAND.parent))

from adapter import PRECISIONS
from mlir_text import match_layers, read_operators
from vendor import Vendor, prepare

from npu_tune.errors import EvaluationError
from npu_tune.network.zoo import zoo_network
from npu_tune.space import Configuration
from npu_tune.targets import Problem, load_target

RECORDED = HERE / "vendor_search.csv"
COLUMNS = ("network", "similarity", "opt", "layers", "cycles", "snr_db", "failure")
SIMILARITIES = ("0.99", "0.999", "0.9995", "0.9999", "0.99999")


def searched(vendor: Vendor, ready: Path, similarity: str, folder: Path) -> dict[str, str]:
    """Precision by the vendor's name of the layers that its search takes out of INT8."""
    for name in ("model.mlir", "model_top_f32_all_weight.npz", "calibrate"):
        (folder / name).symlink_to(ready / name)
    number = str(len(list((ready / "calibrate").iterdir())))
    words = ["model.mlir", "--dataset", "calibrate", "--input_num", number]
    words += ["--inference_num", number, "--search", "search_qtable", "--expected_cos", similarity]
    words += ["--quantize_method_list", "KL", "--chip", "bm1684x", "--fp_type", "F16"]
    words += ["--max_float_layers", "1000"]
    words += ["--calibration_table", "table", "--quantize_table", "precisions", "-o", "first"]
    vendor.script("run_calibration", words, folder)
    lines = (folder / "precisions").read_text(encoding="utf-8").splitlines()
    pairs = (line.split() for line in lines if line and not line.startswith("#"))
    return {name: precision for name, precision in pairs if precision in PRECISIONS}


def configuration(
    problem: Problem, ready: Path, table: dict[str, str], opt: int
) -> tuple[Configuration, int]:
    """INT8 but for what a table says, and how many layers that are."""
    layers = [
        {
            "name": each.name,
            "operator": each.op,
            "inputs": each.inputs,
            "outputs": each.outputs,
        }
        for each in problem.network.layers
    ]
    top = read_operators((ready / "model.mlir").read_text(encoding="utf-8"))
    name_of = match_layers(layers, top).name_of
    values = {
        knob.full_name: "half" if name_of.get(knob.layer) in table else "INT8"
        for knob in problem.space.knobs
        if knob.name == "precision"
    }
    count = sum(value == "half" for value in values.values())
    return problem.space.configuration({**values, "network/opt": opt}), count


def rows_of(name: str) -> Iterator[Row]:
    """A row per similarity and level of optimization."""
    network = zoo_network(name, format="onnx")
    vendor = Vendor(os.environ.get("TPU_MLIR_HOME", ""))
    with (
        tempfile.TemporaryDirectory() as base,
        load_target("command", {"command": str(COMMAND)}).bind(network) as problem,
    ):
        model = Path(base) / "model.onnx"
        model.write_bytes(network.model_bytes)
        ready = prepare(vendor, model, None)
        for similarity in SIMILARITIES:
            folder = Path(base) / similarity
            folder.mkdir()
            table = searched(vendor, ready, similarity, folder)
            for opt in (1, 2, 3):
                chosen, count = configuration(problem, ready, table, opt)
                row = {"network": name, "similarity": similarity, "opt": str(opt)}
                row |= {"layers": str(count), "failure": ""}
                try:
                    metrics = problem.evaluate(chosen).metrics
                except EvaluationError as error:
                    yield {**row, "cycles": "", "snr_db": "", "failure": type(error).__name__}
                else:
                    yield {**row, **{key: repr(metrics[key]) for key in ("cycles", "snr_db")}}


def recorded() -> list[Row]:
    """The rows that are kept."""
    return read_rows(RECORDED)


def table(rows: Sequence[Row]) -> str:
    """Markdown: per network and similarity the level that takes the fewest cycles."""
    lines = ["| network | similarity asked | layers in F16 | opt | cycles | dB |"]
    lines += ["| --- | ---: | ---: | ---: | ---: | ---: |"]
    for network in dict.fromkeys(row["network"] for row in rows):
        for similarity in SIMILARITIES:
            own = [r for r in rows if (r["network"], r["similarity"]) == (network, similarity)]
            compiled = [row for row in own if not row["failure"]]
            if not compiled:
                continue
            least = min(compiled, key=lambda row: float(row["cycles"]))
            cells = [network, similarity, least["layers"], least["opt"]]
            cycles = f"{float(least['cycles']):,.0f}"
            cells += [f"**{cycles}**" if least == fewest_cycles(rows, network) else cycles]
            cells += [f"{float(least['snr_db']):.1f}"]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    make_again_on_request(__doc__ or "", RECORDED, COLUMNS, rows_of)
    print(table(recorded()))
