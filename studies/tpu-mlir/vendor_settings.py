"""Every optimization level with every precision in all layers: what the vendor itself offers.

    python studies/tpu-mlir/vendor_settings.py --again resnet8 ds-cnn   # compiles, writes the .csv
    python studies/tpu-mlir/vendor_settings.py                          # prints the recorded table

Compiling needs TPU_MLIR_HOME, see docs/commands/tpu_mlir.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from npu_tune.errors import EvaluationError
from npu_tune.network.zoo import zoo_network
from npu_tune.targets import Problem, load_target

HERE = Path(__file__).resolve().parent
RECORDED = HERE / "vendor_settings.csv"
COMMAND = HERE.parents[1] / "docs" / "commands" / "tpu_mlir" / "tpu_mlir.toml"
METRICS = ("cycles", "memory_bytes", "dma_bytes", "snr_db")
DEFAULT = "opt 2, all F16"
LEAST_DB = 30.0

Row = dict[str, str]


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


def record(networks: Sequence[str]) -> None:
    """Compiles, and keeps the rows of other networks as they are."""
    target = load_target("command", {"command": str(COMMAND)})
    rows = [row for row in recorded() if row["network"] not in networks]
    for name in networks:
        problem = target.bind(zoo_network(name, format="onnx"))
        try:
            rows += settings(problem)
        finally:
            problem.close()
    with RECORDED.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["network", "setting", *METRICS, "failure"])
        writer.writeheader()
        writer.writerows(rows)


def recorded() -> list[Row]:
    """The rows that are kept; none before the first time."""
    if not RECORDED.is_file():
        return []
    with RECORDED.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def best_uniform(rows: Sequence[Row], network: str) -> Row:
    """The setting of the fewest cycles among those of a network that keep 30 dB."""
    own = [row for row in rows if row["network"] == network and not row["failure"]]
    return min(
        (row for row in own if float(row["snr_db"]) >= LEAST_DB),
        key=lambda row: float(row["cycles"]),
    )


def table(rows: Sequence[Row]) -> str:
    """Markdown; the best setting of each network that keeps 30 dB in bold."""
    lines = ["| network | setting | cycles | memory, KiB | DMA, KiB | dB |"]
    lines += ["| --- | --- | ---: | ---: | ---: | ---: |"]
    for row in rows:
        if row["failure"]:
            lines += [f"| {row['network']} | {row['setting']} | the compiler crashes | | | |"]
            continue
        cycles = f"{float(row['cycles']):,.0f}"
        if row == best_uniform(rows, row["network"]):
            cycles = f"**{cycles}**"
        kib = (f"{float(row[name]) / 1024:,.0f}" for name in ("memory_bytes", "dma_bytes"))
        cells = [row["network"], row["setting"], cycles, *kib, f"{float(row['snr_db']):.1f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--again", nargs="+", metavar="NETWORK", default=[])
    again = parser.parse_args().again
    if again:
        record(again)
    print(table(recorded()))


if __name__ == "__main__":
    main()
