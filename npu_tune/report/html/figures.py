"""How the plots of the page look, and what all of them share. Needs the extra ``report``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bokeh.models import CustomJS, HoverTool, LinearAxis, NumeralTickFormatter, TapTool
from bokeh.plotting import figure

BEFORE = "#8c8c8c"
AFTER = "#0072b2"
GOOD = "#009e73"
BAD = "#d55e00"

CAUSES = {
    "compute": "#0072b2",
    "flash": "#d55e00",
    "on-chip flash": "#d55e00",
    "weights": "#cc79a7",
    "preloading": "#cc79a7",
    "fixed cost": "#56b4e9",
    "SRAM": "#e69f00",
    "RAM": "#e69f00",
    "DRAM": "#b8a630",
    "CPU": "#7e57c2",
}
"""Colours that colour-blind people can tell apart: Okabe and Ito, "Color Universal Design", 2008."""

MAPS = ("#56b4e9", "#009e73", "#e69f00", "#cc79a7", "#0072b2", "#b8a630", "#d55e00")

HEIGHT = 280

_TO_ROW = """
const index = source.selected.indices[0];
if (index !== undefined) npuTuneShowLayer(source.data.layer[index]);
source.selected.indices = [];
"""


def plot(
    *,
    title: str = "",
    x_label: str = "",
    y_label: str = "",
    height: int = HEIGHT,
    zoom: bool = False,
    **ranges: Any,
) -> Any:
    """An empty plot as wide as the page.

    Args:
        title: above it.
        x_label: of the horizontal axis.
        y_label: of the vertical one.
        height: in pixels.
        zoom: whether there are tools to zoom and to go back.
        ranges: as of ``bokeh.plotting.figure``.
    """
    made = figure(
        title=title or None,
        x_axis_label=x_label,
        y_axis_label=y_label,
        height=height,
        sizing_mode="stretch_width",
        tools="box_zoom,reset" if zoom else "",
        active_drag=None,
        toolbar_location="above" if zoom else None,
        background_fill_alpha=0,
        border_fill_alpha=0,
        outline_line_color=None,
        **ranges,
    )
    made.toolbar.logo = None
    made.xgrid.grid_line_color = None
    if isinstance(made.yaxis[0], LinearAxis):
        made.yaxis[0].formatter = NumeralTickFormatter(format="0,0.[000]")
    return made


def hover(made: Any, renderer: Any, rows: Sequence[tuple[str, str]]) -> None:
    """Says what is under the pointer.

    Args:
        made: a plot.
        renderer: a glyph of it.
        rows: a name and a column of its source, such as ``@layer``.
    """
    made.add_tools(HoverTool(renderers=[renderer], tooltips=list(rows)))


def lead_to_row(made: Any, renderer: Any) -> None:
    """Leads from a glyph to its layer's row; its source has a column ``layer``."""
    source = renderer.data_source
    made.add_tools(TapTool(renderers=[renderer]))
    source.selected.js_on_change("indices", CustomJS(args={"source": source}, code=_TO_ROW))


def finish(made: Any) -> None:
    """Puts the legend above the plot, where it hides nothing, and keeps it small."""
    if made.legend:
        legend = made.legend[0]
        made.add_layout(legend, "above")
        legend.orientation = "horizontal"
        legend.ncols = 3
        legend.label_text_font_size = "9pt"
        legend.background_fill_alpha = 0
        legend.border_line_color = None
        legend.click_policy = "hide"
        legend.margin = 0
        legend.padding = 2
