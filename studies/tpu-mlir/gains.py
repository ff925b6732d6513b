"""What was found against the vendor's best setting that keeps 30 dB, from the recordings.

python studies/tpu-mlir/gains.py
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from pathlib import Path

from vendor_rows import LEAST_DB, fewest_cycles
from vendor_search import recorded as searches
from vendor_settings import recorded as settings

from npu_tune.compare import load_comparison
from npu_tune.compare.analysis.statistics import median
from npu_tune.compare.runs.recording import read_recording

HERE = Path(__file__).resolve().parent
FILES = ("small", "large")
RESULTS = "results.parquet"


def found() -> Iterator[tuple[str, str, list[tuple[float, float]]]]:
    """Network, sampler, and per seed the fewest cycles that keep 30 dB with their dB."""
    for file in (HERE / f"{name}.toml" for name in FILES):
        comparison = load_comparison(file)
        runs = read_recording(comparison.folder / RESULTS).runs
        for network in comparison.network:
            for sampler in comparison.sampler:
                best = []
                for run in runs:
                    if (run.name.problem.network, run.name.sampler) != (
                        network.title,
                        sampler.title,
                    ):
                        continue
                    allowed = run.rows[run.rows["snr_db"] >= LEAST_DB]
                    row = allowed.loc[allowed["cycles"].idxmin()]
                    best.append((float(row["cycles"]), float(row["snr_db"])))
                yield network.title, sampler.title, best


def table() -> str:
    """Markdown; medians over seeds, and how far they are below what the vendor offers."""
    lines = [
        "| network | uniform | vendor's search | sampler | found | dB | below uniform | below search | seeds |",
        "| --- | ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for network, sampler, best in found():
        uniform = float(fewest_cycles(settings(), network)["cycles"])
        row = fewest_cycles(searches(), network)
        searched = float(row["cycles"]) if row else math.nan
        cycles = median([cycles for cycles, _ in best])
        cells = [
            network,
            f"{uniform:,.0f}",
            f"{searched:,.0f}" if row else "none keeps 30 dB",
            sampler,
            f"{cycles:,.0f}",
            f"{min(snr for _, snr in best):.1f}",
            f"{100 * (1 - cycles / uniform):.1f} %",
            f"{100 * (1 - cycles / searched):.1f} %" if row else "-",
            str(len(best)),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(table() + "\n")
