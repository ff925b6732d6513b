"""Plots that explain: what changes bring, where the time goes, what lies in memory."""

from __future__ import annotations

from typing import Any

from bokeh.models import BoxAnnotation, ColumnDataSource, Range1d

from npu_tune.numerals import format_value
from npu_tune.report.explain import ChangeGain, Explanation, LayerCost
from npu_tune.report.html.figures import (
    AFTER,
    BAD,
    BEFORE,
    CAUSES,
    GOOD,
    MAPS,
    finish,
    hover,
    lead_to_row,
    plot,
)
from npu_tune.targets import MemoryTimeline

MOST_CHANGES_DRAWN = 15
_KIB = 1024


def changes_plot(explanation: Explanation) -> Any | None:
    """The largest gains as bars; None where none is known."""
    known = [gain for gain in explanation.gains if gain.gain is not None]
    shown = sorted(known, key=_gain, reverse=True)[:MOST_CHANGES_DRAWN]
    if not shown:
        return None
    names = [gain.label for gain in shown]
    source = ColumnDataSource(
        {
            "name": names,
            "layer": [gain.layer for gain in shown],
            "percent": [100 * _gain(gain) for gain in shown],
            "text": [_values(gain) for gain in shown],
            "color": [GOOD if _gain(gain) >= 0 else BAD for gain in shown],
        }
    )
    made = plot(
        x_label="points of cost (default: 100) that it takes off",
        height=60 + 22 * len(shown),
        y_range=names[::-1],
    )
    bars = made.hbar(y="name", right="percent", height=0.7, color="color", source=source)
    hover(made, bars, [("change", "@name"), ("value", "@text"), ("brings", "@percent{0.00}")])
    lead_to_row(made, bars)
    return made


def layers_plot(explanation: Explanation) -> Any | None:
    """Two bars for each layer, before and after; the latter in the colour of what bounds it."""
    rows, schema = explanation.layers, explanation.result.profile
    if not rows:
        return None
    made = plot(y_label=f"{schema.cost} [{schema.unit}]", x_label="layers in execution order")
    made.xaxis.ticker = []
    before = made.vbar(
        x="x", top="top", width=0.4, color=BEFORE, source=_bars(rows, -0.2, after=False),
        legend_label="default",
    )  # fmt: skip
    rows_of = {cause: [r for r in rows if r.cause_after == cause] for cause in _causes(rows)}
    places = {row.layer: place for place, row in enumerate(rows)}
    drawn = [before]
    for cause, own in rows_of.items():
        label = f"chosen, bounded by {cause}" if cause else "chosen"
        source = _bars(own, 0.2, after=True, places=places)
        drawn.append(
            made.vbar(
                x="x", top="top", width=0.4, color=CAUSES.get(cause, AFTER), source=source,
                legend_label=label,
            )
        )  # fmt: skip
    for renderer in drawn:
        hover(
            made, renderer,
            [("layer", "@layer"), ("before", "@before"), ("after", "@after"), ("share", "@share"),
             ("bounded by", "@cause"), ("changes", "@changes")],
        )  # fmt: skip
        lead_to_row(made, renderer)
    finish(made)
    return made


def memory_plots(explanation: Explanation) -> list[Any]:
    """Every pool as a map of addresses over steps, before and after, on the same scale."""
    before, after = explanation.memory_before, explanation.memory_after
    if before is None or after is None:
        return []
    plots = []
    for pool in dict.fromkeys((*before.pools, *after.pools)):
        top = max(before.used_bytes(pool), after.used_bytes(pool)) / _KIB
        for word, memory in (("default", before), ("chosen", after)):
            if not memory.in_pool(pool):
                continue
            used = format_value(memory.used_bytes(pool), "bytes")
            plots.append(_pool_plot(memory, pool, f"{pool}, {word}: {used}", top))
    return plots


def _pool_plot(memory: MemoryTimeline, pool: str, title: str, top: float) -> Any:
    made = plot(
        title=title, y_label="address [KiB]", x_label="layers in execution order",
        y_range=Range1d(start=0, end=1.05 * top), x_range=Range1d(start=0, end=max(len(memory.steps), 1)),
    )  # fmt: skip
    made.xaxis.ticker = []
    buffers = memory.in_pool(pool)
    step, live = memory.peak(pool)
    is_peak = set(live)
    source = ColumnDataSource(
        {
            "left": [buffer.first for buffer in buffers],
            "right": [buffer.last + 1 for buffer in buffers],
            "bottom": [buffer.address / _KIB for buffer in buffers],
            "top": [buffer.end / _KIB for buffer in buffers],
            "name": [buffer.name for buffer in buffers],
            "layer": [buffer.layer for buffer in buffers],
            "size": [format_value(buffer.size_bytes, "bytes") for buffer in buffers],
            "steps": [
                f"{memory.steps[buffer.first]} to {memory.steps[buffer.last]}"
                for buffer in buffers
            ],
            "color": [MAPS[place % len(MAPS)] for place in range(len(buffers))],
            "alpha": [0.95 if buffer in is_peak else 0.45 for buffer in buffers],
        }
    )
    made.add_layout(BoxAnnotation(left=step, right=step + 1, fill_color=BAD, fill_alpha=0.15))
    maps = made.quad(
        left="left", right="right", bottom="bottom", top="top", fill_color="color",
        fill_alpha="alpha", line_color="color", source=source,
    )  # fmt: skip
    hover(made, maps, [("map", "@name"), ("size", "@size"), ("in use", "@steps")])
    lead_to_row(made, maps)
    return made


def _bars(
    rows: tuple[LayerCost, ...] | list[LayerCost],
    shift: float,
    *,
    after: bool,
    places: dict[str, int] | None = None,
) -> ColumnDataSource:
    at = places or {row.layer: place for place, row in enumerate(rows)}
    return ColumnDataSource(
        {
            "x": [at[row.layer] + shift for row in rows],
            "top": [(row.after if after else row.before) or 0.0 for row in rows],
            "layer": [row.layer for row in rows],
            "before": [_text(row.before) for row in rows],
            "after": [_text(row.after) for row in rows],
            "share": [f"{row.share_after:.1%}" for row in rows],
            "cause": [row.cause_after or "unknown" for row in rows],
            "changes": [", ".join(row.changes) or "none" for row in rows],
        }
    )


def _causes(rows: tuple[LayerCost, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(row.cause_after for row in rows))


def _text(value: float | None) -> str:
    return "-" if value is None else format_value(value)


def _values(gain: ChangeGain) -> str:
    return f"{gain.before} -> {gain.after}" if gain.is_single else f"{len(gain.names)} changes"


def _gain(gain: ChangeGain) -> float:
    return gain.gain or 0.0
