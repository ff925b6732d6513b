"""What was found against the vendor's best setting that keeps 30 dB, from the recordings.

python studies/tpu-mlir/gains.py
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from vendor_settings import LEAST_DB, best_uniform, recorded

from npu_tune.compare import load_comparison
from npu_tune.compare.analysis.statistics import median
from npu_tune.compare.runs.recording import read_recording

HERE = Path(__file__).resolve().parent
RESULTS = "results.parquet"


def found() -> Iterator[tuple[str, str, list[tuple[float, float]]]]:
    """Network, sampler, and per seed the fewest cycles that keep 30 dB with their dB."""
    for file in sorted(HERE.glob("*.toml"), reverse=True):
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
    """Markdown; the medians over seeds, and what they are below the vendor's best."""
    rows = recorded()
    lines = [
        "| network | vendor's best at 30 dB | cycles | sampler | cycles found | fewer | dB | seeds |",
        "| --- | --- | ---: | --- | ---: | ---: | ---: | ---: |",
    ]
    for network, sampler, best in found():
        vendor = best_uniform(rows, network)
        own, cycles = float(vendor["cycles"]), median([cycles for cycles, _ in best])
        cells = [
            network,
            vendor["setting"],
            f"{own:,.0f}",
            sampler,
            f"{cycles:,.0f}",
            f"{100 * (1 - cycles / own):.1f} %",
            f"{min(snr for _, snr in best):.1f}",
            str(len(best)),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(table() + "\n")
