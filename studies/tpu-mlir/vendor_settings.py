"""Every optimization level with every precision in all layers: what the vendor itself offers.

    python studies/tpu-mlir/vendor_settings.py --again resnet8 ds-cnn   # compiles, writes the .csv
    python studies/tpu-mlir/vendor_settings.py                          # prints the recorded table

Compiling needs TPU_MLIR_HOME, see docs/commands/tpu_mlir.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from vendor_rows import Row, fewest_cycles, make_again_on_request, read_rows

from npu_tune.errors import EvaluationError
from npu_tune.network.zoo import zoo_network
from npu_tune.targets import Problem, load_target

HERE = Path(__file__).resolve().parent
RECORDED = HERE / "vendor_settings.csv"
COMMAND = HERE.parents[1] / "docs" / "commands" / "tpu_mlir" / "tpu_mlir.toml"
METRICS = ("cycles", "memory_bytes", "dma_bytes", "snr_db")
COLUMNS = ("network", "setting", *METRICS, "failure")
DEFAULT = "opt 2, all F16"


def settings(problem: Problem) -> Iterator[Row]:
    """A row per setting: its name, its metrics, or why there are none."""
    starts = {DEFAULT: problem.space.configuration({})}
    starts |= {start.label: start.configuration for start in problem.starts()}
    for label in sorted(starts):
        row = {"network": problem.network.name, "setting": label, "failure": ""}
        try:
            found = problem.evaluate(starts[label]).metrics
        except EvaluationError as error:
            yield {**row, **dict.fromkeys(METRICS, ""), "failure": type(error).__name__}
        else:
            yield {**row, **{name: repr(found[name]) for name in METRICS}}


def rows_of(network: str) -> Iterator[Row]:
    """Every setting of a built-in network, compiled."""
    target = load_target("command", {"command": str(COMMAND)})
    with target.bind(zoo_network(network, format="onnx")) as problem:
        yield from settings(problem)


def recorded() -> list[Row]:
    """The rows that are kept."""
    return read_rows(RECORDED)


def table(rows: Sequence[Row]) -> str:
    """Markdown; the best setting of each network that keeps 30 dB in bold."""
    lines = ["| network | setting | cycles | memory, KiB | DMA, KiB | dB |"]
    lines += ["| --- | --- | ---: | ---: | ---: | ---: |"]
    for row in rows:
        if row["failure"]:
            lines += [f"| {row['network']} | {row['setting']} | the compiler crashes | | | |"]
            continue
        cycles = f"{float(row['cycles']):,.0f}"
        if row == fewest_cycles(rows, row["network"]):
            cycles = f"**{cycles}**"
        kib = (f"{float(row[name]) / 1024:,.0f}" for name in ("memory_bytes", "dma_bytes"))
        cells = [row["network"], row["setting"], cycles, *kib, f"{float(row['snr_db']):.1f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    make_again_on_request(__doc__ or "", RECORDED, COLUMNS, rows_of)
    print(table(recorded()))
