"""Charts of studies, as SVG for pages and as Matplotlib figures for files.

Kinds: `line` over a number or over names, with a band between the ends of its intervals; `bars`
from zero with whiskers (on a logarithmic axis, which has no zero, a dot instead of a bar); `strip`,
the single runs over names, with a tick at their median. Bars and strips lie: names can be read.

A value that is infinite (a run that diverged, a target never reached) stands in a bin at the end of
its axis, so it is seen and does not flatten the rest.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

from steepest.report import chart_figure, style
from steepest.report.axis import Axis, axis_of, level, number
from steepest.report.chart_rows import rows_svg
from steepest.report.chart_svg import line_svg
from steepest.report.markup import Markup, tag
from steepest.study.tables.table import Chart

BIN = "diverged, or never there"


def svg(chart: Chart, bin_name: str = BIN) -> Markup:
    """The chart as an `<svg>` element that takes its colours from the page (`page.STYLE`)."""
    value, along = axes_of(chart)
    draw = line_svg if chart.kind == "line" else rows_svg
    return draw(chart, along, value, bin_name)


def figure(chart: Chart, bin_name: str = BIN) -> Any:
    """The chart as a Matplotlib figure."""
    value, along = axes_of(chart)
    return chart_figure.draw(chart, along, value, bin_name)


def save(chart: Chart, stem: str | os.PathLike[str], bin_name: str = BIN) -> list[Path]:
    """Write STEM.png and STEM.svg; the folder must be there."""
    made = figure(chart, bin_name)
    files = [Path(f"{os.fspath(stem)}{ending}") for ending in (".png", ".svg")]
    for file in files:
        style.save(made, file)
    return files


def framed(chart: Chart, bin_name: str = BIN) -> Markup:
    """The chart with its title and note, for a page."""
    return tag(
        "figure",
        tag("figcaption", chart.title),
        svg(chart, bin_name),
        tag("p", chart.note, class_="note") if chart.note else None,
    )


def axes_of(chart: Chart) -> tuple[Axis, Axis]:
    """The axis of the values and the one along which they are given."""
    xs: list[Any] = [x for s in chart.series for x in s.x]
    values: list[float] = []
    for s in chart.series:
        values += [number(y) for y in s.y]
        for ends in (s.low, s.high):
            # The end of an interval may lie anywhere; only those of finite values set the axis.
            values += [e for e in map(number, ends or ()) if math.isfinite(e)]
    value = axis_of(values, log=chart.log_y, zero=chart.kind == "bars")
    if chart.kind == "line":
        return value, axis_of(xs, log=chart.log_x)
    return value, Axis(names=tuple(dict.fromkeys(map(level, xs))))
