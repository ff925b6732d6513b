"""The picture of the validation: published against simulated figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from published import PublishedRow

from npu_tune.errors import MissingExtraError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BAND = 0.25
_MARKERS = "osD^vPX*<>"
_COLORS = ("#1f4e9c", "#c4572e", "#3a8a4d", "#8a5fb0", "#b58a1b", "#5b6770")


class Point(Protocol):
    """A prediction: a published row with what is simulated."""

    @property
    def row(self) -> PublishedRow: ...
    @property
    def latency_ms(self) -> float: ...
    @property
    def ram_kib(self) -> float: ...


def draw(given: Sequence[Point], path: Path) -> None:
    """Draws latency (left) and RAM (right); the same predictions give the same bytes.

    Raises:
        MissingExtraError: if matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 -- an extra
    except ImportError as error:
        raise MissingExtraError(
            "The picture needs matplotlib, which is not installed.",
            remedy="Install it with `pip install 'npu-tune[report]'`.",
        ) from error
    figure = Figure(figsize=(11, 5.2), layout="constrained")
    figure.suptitle("Neural-ART model, default configuration, against ST's published figures")
    left, right = figure.subplots(1, 2)
    latency = [(p.row.family, p.row.latency_ms, p.latency_ms) for p in given]
    ram = [(p.row.family, p.row.ram_kib, p.ram_kib) for p in given if p.row.ram_kib]
    _scatter(left, latency, "latency", "ms")
    if ram:
        _scatter(right, ram, "RAM on the chip", "KiB")
    left.legend(fontsize="small", loc="upper left")
    figure.savefig(path, dpi=120, metadata={"Software": None})


def _scatter(
    axes: Axes, points: Sequence[tuple[str, float, float]], title: str, unit: str
) -> None:
    values = [value for _, *both in points for value in both]
    ends = [0.7 * min(values), 1.4 * max(values)]
    low, high = ([end * factor for end in ends] for factor in (1 - BAND, 1 + BAND))
    axes.fill_between(ends, low, high, color="#e8edf4", label=f"within {BAND:.0%}", zorder=0)
    axes.plot(ends, ends, color="#808080", linewidth=1, zorder=1)
    for place, family in enumerate(dict.fromkeys(family for family, *_ in points)):
        own = [both for name, *both in points if name == family]
        axes.scatter(
            [published for published, _ in own],
            [simulated for _, simulated in own],
            marker=_MARKERS[place % len(_MARKERS)],
            color=_COLORS[place % len(_COLORS)],
            s=34,
            alpha=0.85,
            label=family,
            zorder=2,
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(*ends)
    axes.set_ylim(*ends)
    axes.set_aspect("equal")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:,.10g}")
    axes.set_xlabel(f"published [{unit}]")
    axes.set_ylabel(f"simulated [{unit}]")
    axes.set_title(title)
