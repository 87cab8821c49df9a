"""Lines with bands as SVG, and what all charts in SVG share."""

from __future__ import annotations

import math
from collections.abc import Sequence

from steepest.report.axis import Axis, number
from steepest.report.markup import Markup, tag
from steepest.study.tables.table import Chart, Series

WIDTH, HEIGHT = 480.0, 300.0
FONT, LETTER = 12, 7.3
"""Size of the text, and about the width of a letter of it."""
BIN_SIZE = 26.0
MOST_LABELS = 8
LONGEST_LABEL = 20
MARKED = 24
"""Lines of at most so many points show each of them."""


def colour(i: int) -> str:
    """The colour of the i-th series, as the page's theme has it."""
    return f"var(--c{i % 8})"


def line_svg(chart: Chart, x: Axis, y: Axis, bin_name: str) -> Markup:
    """Lines over a number or over names."""
    named = [s.name for s in chart.series if s.name]
    direct = len(named) <= MOST_LABELS and max(map(len, named), default=0) <= LONGEST_LABEL
    legend = [] if direct else legend_rows(named, WIDTH)
    ticks_y = y.ticks(6)
    left = max([18.0, *(LETTER * len(t) + 12 for _, t in ticks_y)])
    right = LETTER * max(map(len, named), default=0) + 14 if direct and named else 12
    top = 24.0 + 17 * len(legend)
    height = HEIGHT + 17 * len(legend)
    box = Box(left, top + (BIN_SIZE + 5 if y.bin else 0), WIDTH - right, height - 42)
    parts: list[Markup] = [grid_y(box, ticks_y), label_y(chart.y), label_x(box, chart.x)]
    parts += legend_of(legend, chart)
    parts.append(ticks_x(box, thinned(x, box.width)))
    if y.bin:
        parts += bin_top(box, top, bin_name)
    ends: list[tuple[float, int, str]] = []
    for i, s in enumerate(chart.series):
        parts += _series(s, i, box, x, y, top)
        known = [number(v) for v in s.y if not math.isnan(number(v))]
        if known:
            end = top + BIN_SIZE / 2 if math.isinf(known[-1]) else box.y(y.at(known[-1]))
            ends.append((end, i, s.name))
    if direct:
        parts += end_labels(ends, box)
    return frame(chart, height, parts)


class Box:
    """The rectangle between the axes, in the units of the picture."""

    def __init__(self, left: float, top: float, right: float, bottom: float):
        self.left, self.top, self.right, self.bottom = left, top, right, bottom
        self.width, self.height = right - left, bottom - top

    def x(self, place: float) -> float:
        """From the place on an axis (0 to 1) to the picture."""
        return self.left + place * self.width

    def y(self, place: float) -> float:
        """The same for the axis that points up."""
        return self.bottom - place * self.height


def frame(chart: Chart, height: float, parts: Sequence[Markup]) -> Markup:
    """The `<svg>` element around the parts."""
    return tag(
        "svg", tag("title", chart.title), *parts, viewBox=f"0 0 {WIDTH:g} {height:g}", role="img",
        xmlns="http://www.w3.org/2000/svg", class_="chart",
    )  # fmt: skip


def text(x: float, y: float, words: str, anchor: str = "start", fill: str = "var(--quiet)",
         size: float = FONT, **more: str) -> Markup:  # fmt: skip
    """Words at a point; their baseline is there."""
    return tag(
        "text", words, x=f"{x:.1f}", y=f"{y:.1f}", text_anchor=anchor,
        style=f"fill:{fill};font-size:{size:g}px", **more,
    )  # fmt: skip


def rule(x1: float, y1: float, x2: float, y2: float, stroke: str = "var(--hair)",
         width: float = 1.0, dash: str = "") -> Markup:  # fmt: skip
    """A straight line."""
    dashes = f";stroke-dasharray:{dash}" if dash else ""
    return tag(
        "line", x1=f"{x1:.1f}", y1=f"{y1:.1f}", x2=f"{x2:.1f}", y2=f"{y2:.1f}",
        style=f"stroke:{stroke};stroke-width:{width:g}{dashes}",
    )  # fmt: skip


def dot(x: float, y: float, fill: str, r: float = 3.0, opacity: float = 1.0) -> Markup:
    """A round mark."""
    return tag("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r=f"{r:g}",
               style=f"fill:{fill};fill-opacity:{opacity:g}")  # fmt: skip


def cross(x: float, y: float, stroke: str, r: float = 3.6) -> Markup:
    """The mark of a run that has no value."""
    d = f"M{x - r:.1f} {y - r:.1f}l{2 * r:g} {2 * r:g}m0 {-2 * r:g}l{-2 * r:g} {2 * r:g}"
    return tag("path", d=d, style=f"stroke:{stroke};stroke-width:1.7;fill:none")


def grid_y(box: Box, ticks: Sequence[tuple[float, str]]) -> Markup:
    """Horizontal lines with their numbers."""
    return tag("g", [
        (rule(box.left, box.y(p), box.right, box.y(p)),
         text(box.left - 6, box.y(p) + 4, t, "end")) for p, t in ticks
    ])  # fmt: skip


def ticks_x(box: Box, ticks: Sequence[tuple[float, str]]) -> Markup:
    """The axis below with its numbers or names."""
    marks = [
        (rule(box.x(p), box.bottom, box.x(p), box.bottom + 4, "var(--axis)"),
         text(box.x(p), box.bottom + 17, t, "middle")) for p, t in ticks
    ]  # fmt: skip
    return tag("g", rule(box.left, box.bottom, box.right, box.bottom, "var(--axis)"), marks)


def label_y(words: str) -> Markup:
    """What goes up, written above the axis, where it can be read without turning the head."""
    return text(2, 13, words)


def label_x(box: Box, words: str) -> Markup:
    """What goes to the right, below the numbers."""
    return text(box.left + box.width / 2, box.bottom + 35, words, "middle")


def thinned(axis: Axis, width: float) -> list[tuple[float, str]]:
    """As many ticks as there is room for."""
    ticks = axis.ticks(max(2, int(width / 55)))
    room = max(1, int(width / (LETTER * max(max((len(t) for _, t in ticks), default=1), 2) + 8)))
    return ticks[:: math.ceil(len(ticks) / room)] if ticks else []


def legend_rows(names: Sequence[str], width: float) -> list[list[str]]:
    """Names in rows that fit the width."""
    rows: list[list[str]] = []
    used = math.inf
    for name in names:
        need = LETTER * len(name) + 28
        if used + need > width:
            rows.append([])
            used = 0
        rows[-1].append(name)
        used += need
    return rows


def legend_of(rows: Sequence[Sequence[str]], chart: Chart) -> list[Markup]:
    """The rows of names with the colours of their series, above the plot."""
    order = [s.name for s in chart.series]
    out = []
    for r, row in enumerate(rows):
        x = 2.0
        for name in row:
            out.append(dot(x + 5, 28 + 17 * r, colour(order.index(name)), 4))
            out.append(text(x + 14, 32 + 17 * r, name, fill="var(--ink)"))
            x += LETTER * len(name) + 28
    return out


def bin_top(box: Box, top: float, name: str) -> list[Markup]:
    """The place above the plot for what has no value."""
    shade = tag("rect", x=f"{box.left:.1f}", y=f"{top:.1f}", width=f"{box.width:.1f}",
                height=f"{BIN_SIZE:g}", rx="3", style="fill:var(--shade)")  # fmt: skip
    return [shade, text(box.right - 4, top - 4, name, "end", size=10.5)]


def end_labels(ends: Sequence[tuple[float, int, str]], box: Box) -> list[Markup]:
    """Names beside the right ends of their lines, moved apart where they would overlap."""
    gap, placed = 14.0, sorted(ends)
    heights = [y for y, _, _ in placed]
    # Centred on where they would stand: down first, then back up within the box.
    shift = 0.0
    for i in range(1, len(heights)):
        lower = max(heights[i], heights[i - 1] + gap)
        shift += (lower - heights[i]) / len(heights)
        heights[i] = lower
    floor = box.bottom
    for i in reversed(range(len(heights))):
        heights[i] = min(heights[i] - shift, floor)
        floor = heights[i] - gap
    placed = [(h, i, name) for h, (_, i, name) in zip(heights, placed, strict=True)]
    return [text(box.right + 6, y + 4, name, fill=colour(i)) for y, i, name in placed]


def _series(s: Series, i: int, box: Box, x: Axis, y: Axis, top: float) -> list[Markup]:
    out: list[Markup] = []
    xs = [box.x(x.at(v)) for v in s.x]
    values = [number(v) for v in s.y]
    pen = colour(i)
    if s.low is not None and s.high is not None:
        bounds = [(number(a), number(b)) for a, b in zip(s.low, s.high, strict=True)]
        known = [k for k, (a, _) in enumerate(bounds)
                 if math.isfinite(a) and math.isfinite(values[k])]  # fmt: skip
        for stretch in _stretches(known):
            ups = [(xs[k], box.top if math.isinf(bounds[k][1]) else
                    box.y(y.at(bounds[k][1]))) for k in stretch]  # fmt: skip
            downs = [(xs[k], box.y(y.at(bounds[k][0]))) for k in reversed(stretch)]
            if len(stretch) > 1:
                points = " ".join(f"{a:.1f},{b:.1f}" for a, b in [*ups, *downs])
                out.append(tag("polygon", points=points, style=f"fill:{pen};fill-opacity:0.15"))
            if len(values) <= MARKED:
                out += [rule(a, b, a, c, pen, 1.2)
                        for (a, b), (_, c) in zip(ups, reversed(downs), strict=True)]  # fmt: skip
    finite = [k for k, v in enumerate(values) if math.isfinite(v)]
    for stretch in _stretches(finite):
        points = " ".join(f"{xs[k]:.1f},{box.y(y.at(values[k])):.1f}" for k in stretch)
        look = f"fill:none;stroke:{pen};stroke-width:2;stroke-linejoin:round"
        out.append(tag("polyline", points=points, style=look))
    if len(values) <= MARKED or len(finite) == 1:
        out += [dot(xs[k], box.y(y.at(values[k])), pen) for k in finite]
    # Series beside each other: two that diverge at the same place are both seen.
    middle = top + BIN_SIZE / 2 + (i % 3 - 1) * 7.0
    out += [cross(xs[k], middle, pen) for k, v in enumerate(values) if math.isinf(v)]
    return out


def _stretches(indices: Sequence[int]) -> list[list[int]]:
    """Runs of neighbouring indices."""
    out: list[list[int]] = []
    for k in indices:
        if out and k == out[-1][-1] + 1:
            out[-1].append(k)
        else:
            out.append([k])
    return out
