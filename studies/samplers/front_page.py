"""Draws samplers.png: the best cost so far of every sampler on every network.

python studies/samplers/front_page.py
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

FOLDER = Path(__file__).parent
PATH = FOLDER / "samplers.png"
sys.path.insert(0, str(FOLDER.parent))

from figures import replayed  # noqa: E402 -- stands in the folder above

from npu_tune.compare.analysis.regrets import ProblemCurves  # noqa: E402
from npu_tune.report.pictures import picture  # noqa: E402

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FILES = {"neural_art": "Neural-ART, simulated", "ethos_u": "Ethos-U55, estimated"}
"""Comparison files, and what their target is called."""

COLUMNS = 4
COLORS = {
    "profile": "#d62728",
    "layerwise": "#1f77b4",
    "annealing": "#2ca02c",
    "qlearning": "#9467bd",
    "tpe": "#ff7f0e",
    "nsga2": "#8c564b",
    "random": "#7f7f7f",
}


def main() -> None:
    panels = [
        (curve, title)
        for file, title in FILES.items()
        for curve in replayed(FOLDER / f"{file}.toml").problems.values()
        if curve.best_known.cost < 1  # else nobody gains anything
    ]
    rows = -(-len(panels) // COLUMNS)
    with picture(PATH, width=10, height=2.0 * rows + 0.4) as figure:
        grid = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
        for axes, (curve, title) in zip(grid, panels, strict=False):
            _draw(axes, curve)
            axes.set_title(f"{curve.problem.name.network}\n{title}", fontsize=8)
        for axes in grid[len(panels) :]:
            axes.set_axis_off()
        figure.supxlabel("evaluations", fontsize=9)
        figure.supylabel("best cost so far; the compiler's default has 1", fontsize=9)
        by_label: Mapping[str, object] = {
            label: handle
            for axes in grid
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        figure.legend(by_label.values(), by_label, loc="outside upper center", ncols=7, fontsize=8)
    # A palette makes the file a third as large.
    with Image.open(PATH) as drawn:
        drawn.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(PATH, optimize=True)


def _draw(axes: Axes, curve: ProblemCurves) -> None:
    """Medians over seeds, the quartiles as a band, and the reference as a line."""
    for sampler, best in curve.best.items():
        low, middle, high = np.nanquantile(best, (0.25, 0.5, 0.75), axis=0)
        evaluations = np.arange(1, best.shape[1] + 1)
        color = COLORS[sampler]
        width = 1.8 if sampler == "profile" else 1.1
        axes.fill_between(evaluations, low, high, color=color, alpha=0.15, linewidth=0)
        axes.plot(evaluations, middle, color=color, linewidth=width, label=sampler)
    axes.axhline(curve.best_known.cost, color="black", linewidth=0.6, linestyle=":")
    axes.set_xscale("log")
    axes.set_xlim(1, best.shape[1])
    axes.xaxis.set_major_formatter("{x:g}")
    axes.tick_params(labelsize=7)


if __name__ == "__main__":
    main()
