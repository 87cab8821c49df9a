"""Bars and strips as SVG: a row a name, the values to the right."""

from __future__ import annotations

import math
from collections.abc import Sequence

from steepest.report.axis import Axis, level, number, short
from steepest.report.chart_svg import (
    BIN_SIZE,
    LETTER,
    WIDTH,
    Box,
    colour,
    cross,
    dot,
    frame,
    label_x,
    legend_of,
    legend_rows,
    rule,
    text,
    thinned,
    ticks_x,
)
from steepest.report.markup import Markup, tag
from steepest.study.tables.table import Chart, Series

LINE, GAP = 20.0, 8.0
"""Height of a row of one series, and the space between names."""
WIDEST_NAME = 24


def rows_svg(chart: Chart, along: Axis, value: Axis, bin_name: str) -> Markup:
    """Bars or strips. Long names stand above their rows, short ones at the left."""
    rows = rows_of(chart, along.names)
    longest = max(map(len, along.names), default=0)
    above = longest > WIDEST_NAME
    named = [s.name for s in chart.series]
    legend = legend_rows(named, WIDTH) if len(named) > 1 else []
    left = 10.0 if above else LETTER * longest + 14
    right = WIDTH - (46 if chart.kind == "bars" else 14)
    top = 8.0 + 17 * len(legend) + (14 if legend else 0) + (16 if value.bin else 0)
    head = GAP + (16 if above else 0)
    bottom = top + sum(head + LINE * len(members) for _, members in rows)
    box = Box(left, top, right - (BIN_SIZE + 8 if value.bin else 0), bottom)
    ticks = thinned(value, box.width)
    parts: list[Markup] = [
        *legend_of(legend, chart),
        tag("g", [rule(box.x(p), top, box.x(p), bottom) for p, _ in ticks]),
        ticks_x(box, ticks),
        label_x(box, chart.y),
    ]
    if value.bin:
        parts += _bin(right, top, bottom, bin_name)
    draw = _bar if chart.kind == "bars" else _strip
    y = top
    for name, members in rows:
        y += head
        if above:
            parts.append(text(box.left, y - 8, name, fill="var(--ink)"))
        else:
            middle = y + (LINE * len(members) - GAP) / 2 + 4
            parts.append(text(left - 8, middle, name, "end", "var(--ink)"))
        for i, here in members:
            s = chart.series[i]
            parts += draw(
                s, here, colour(i), y + (LINE - GAP) / 2, box, value, right - BIN_SIZE / 2
            )
            y += LINE
    return frame(chart, bottom + 44, parts)


def rows_of(chart: Chart, names: Sequence[str]) -> list[tuple[str, list[tuple[int, list[int]]]]]:
    """For each name the series that have values there, with the positions of these values."""
    out = []
    for name in names:
        here = [(i, [k for k, x in enumerate(s.x) if level(x) == name])
                for i, s in enumerate(chart.series)]  # fmt: skip
        out.append((name, [(i, found) for i, found in here if found]))
    return out


def _bin(right: float, top: float, bottom: float, name: str) -> list[Markup]:
    shade = tag("rect", x=f"{right - BIN_SIZE:.1f}", y=f"{top:.1f}", width=f"{BIN_SIZE:g}",
                height=f"{bottom - top:.1f}", rx="3", style="fill:var(--shade)")  # fmt: skip
    return [shade, text(right, top - 5, name, "end", size=10.5)]


def _bar(s: Series, here: Sequence[int], pen: str, y: float, box: Box, axis: Axis,
         beyond: float) -> list[Markup]:  # fmt: skip
    out: list[Markup] = []
    for k in here:
        v = number(s.y[k])
        if math.isnan(v):
            out.append(text(box.left + 4, y + 4, "–"))
            continue
        if math.isinf(v):
            out.append(cross(beyond, y, pen))
            continue
        end = box.x(axis.at(v))
        if axis.log:
            out.append(dot(end, y, pen, 4.5))
        else:
            zero = box.x(axis.at(0.0))
            out.append(tag("rect", x=f"{min(zero, end):.1f}", y=f"{y - LINE * 0.34:.1f}",
                           width=f"{abs(end - zero):.1f}", height=f"{LINE * 0.68:g}", rx="2",
                           style=f"fill:{pen};fill-opacity:0.55"))  # fmt: skip
        last = end
        low, high = (number(e[k]) if e is not None else math.nan for e in (s.low, s.high))
        if not math.isnan(low) and not math.isnan(high):
            a = box.x(axis.at(low)) if math.isfinite(low) else box.left
            b = box.x(axis.at(high)) if math.isfinite(high) else beyond
            last = max(last, b)
            out += [rule(a, y, b, y, "var(--ink)", 1.3),
                    *(rule(e, y - 4, e, y + 4, "var(--ink)", 1.3) for e in (a, b))]  # fmt: skip
        out.append(text(min(last, WIDTH - 44) + 6, y + 4, short(v), fill="var(--ink)", size=11))
    return out


def _strip(s: Series, here: Sequence[int], pen: str, y: float, box: Box, axis: Axis,
           beyond: float) -> list[Markup]:  # fmt: skip
    out: list[Markup] = []
    values = [number(s.y[k]) for k in here]
    for k, v in enumerate(values):
        # Spread by a fixed pattern, so that equal values are seen to be several.
        shifted = y + ((k * 0.618034) % 1 - 0.5) * LINE * 0.6
        if math.isinf(v):
            out.append(cross(beyond + ((k * 0.381966) % 1 - 0.5) * 14, shifted, pen, 2.6))
        elif not math.isnan(v):
            out.append(dot(box.x(axis.at(v)), shifted, pen, 2.8, 0.7))
    known = sorted(v for v in values if not math.isnan(v))
    if known:
        half = len(known) // 2
        middle = known[half] if len(known) % 2 else 0.5 * (known[half - 1] + known[half])
        if math.isfinite(middle):
            at = box.x(axis.at(middle))
            out.append(rule(at, y - LINE * 0.42, at, y + LINE * 0.42, "var(--ink)", 2))
    return out
