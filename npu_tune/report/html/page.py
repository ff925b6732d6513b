"""Puts sections and plots together into one file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from npu_tune.errors import MissingExtraError
from npu_tune.report.explain import Explanation
from npu_tune.report.explain.document import report_document
from npu_tune.report.sections import Passage, Whereabouts, report_sections
from npu_tune.tuning.records import StudyResult

if TYPE_CHECKING:
    from jinja2 import Template


_RANDOM = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
"""A random UUID, RFC 9562, version 4."""


def report_html(
    result: StudyResult, explanation: Explanation | None, *, where: Whereabouts
) -> str:
    """The whole report as one HTML file that loads nothing from anywhere.

    Args:
        result: the study.
        explanation: of one of its trials; None where no trial meets the limits.
        where: the study is; commands name it.

    Raises:
        MissingExtraError: if Bokeh, which draws the plots, is not installed.
    """
    try:
        from bokeh.embed import components  # noqa: PLC0415 -- an extra
        from bokeh.resources import Resources  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError(
            "The HTML report needs Bokeh, which is not installed.",
            remedy="Install it with `pip install 'npu-tune[report]'`, or write the report with "
            "`--markdown`.",
        ) from error
    sections = report_sections(result, explanation, where=where)
    with _same_names():
        drawn = _drawn(result, explanation)
        plots = [plot for own in drawn.values() for plot in own]
        script, divs = _renamed(*components(plots)) if plots else ("", [])
    placed = iter(divs)
    data = report_document(result, explanation, folder=where.folder)
    return _template().render(
        title=f"{result.model} on {result.target}",
        sections=sections,
        origin=where.origin.to_dict(),
        plots={key: [next(placed) for _ in own] for key, own in drawn.items()},
        anchors=_anchors(sections),
        data=json.dumps(data, ensure_ascii=False).replace("</", "<\\/"),
        bokeh=Resources(mode="inline", components=["bokeh"]).render_js(),
        script=script,
        style=_text("report.css"),
        code=_text("report.js"),
    )


@contextmanager
def _same_names() -> Iterator[None]:
    """Lets Bokeh count its models from the same number on, so that equal reports have equal bytes."""
    from bokeh.util import serialization  # noqa: PLC0415 -- an extra

    with patch.object(serialization, "_simple_id", 999):
        yield


def _renamed(script: str, divs: Sequence[str]) -> tuple[str, list[str]]:
    """Gives documents and elements, which Bokeh names at random, names that are counted."""
    names: dict[str, str] = {}

    def counted(match: re.Match[str]) -> str:
        return names.setdefault(match[0], f"bokeh-{len(names)}")

    return _RANDOM.sub(counted, script), [_RANDOM.sub(counted, div) for div in divs]


def _drawn(result: StudyResult, explanation: Explanation | None) -> Mapping[str, list[Any]]:
    """The plots by the key of their section."""
    from npu_tune.report.html.found_plots import front_plot, search_plot  # noqa: PLC0415
    from npu_tune.report.html.why_plots import (  # noqa: PLC0415 -- they need the extra
        changes_plot,
        layers_plot,
        memory_plots,
    )

    drawn: dict[str, list[Any | None]] = {
        "front": [front_plot(result)],
        "search": [search_plot(result)],
    }
    if explanation is not None:
        drawn["changes"] = [changes_plot(explanation)]
        drawn["layers"] = [layers_plot(explanation)]
        drawn["memory"] = [*memory_plots(explanation)]
    return {key: [plot for plot in plots if plot is not None] for key, plots in drawn.items()}


def _anchors(sections: tuple[Passage, ...]) -> Mapping[str, str]:
    """By layer that has a row, the row's identifier in the page."""
    tables = [section.table for section in sections if section.table is not None]
    layers = dict.fromkeys(layer for table in tables for layer in table.layers)
    return {layer: f"layer-{place}" for place, layer in enumerate(layers)}


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415 -- comes with Bokeh

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_text("report.html.jinja"))


def _text(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")
