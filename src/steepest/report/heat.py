"""`Heat`: a value over two factors, as a map of cells with their numbers in them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from steepest.report import style
from steepest.report.axis import level, short
from steepest.report.chart_svg import LETTER, WIDTH, text
from steepest.report.markup import Markup, tag

ROW = 30.0


@dataclass(frozen=True)
class Heat:
    """values[i][j] at the i-th level of `y` and the j-th of `x`; infinite: diverged, NaN: not run.

    better: whether `lower` or `higher` values are the better, which are drawn the stronger.
    """

    title: str
    x: str
    y: str
    xs: Sequence[Any]
    ys: Sequence[Any]
    values: Sequence[Sequence[float]]
    better: str = "lower"
    note: str = ""

    def strength(self, value: float) -> float:
        """How good a value is among the finite ones, 0 to 1; by logarithms if they span decades."""
        known = [v for row in self.values for v in row if math.isfinite(v)]
        low, high = min(known), max(known)
        if high == low:
            share = 1.0
        elif style.spans_decades(known, 1.5):
            share = math.log(value / low) / math.log(high / low)
        else:
            share = (value - low) / (high - low)
        return share if self.better == "higher" or high == low else 1 - share


def svg(heat: Heat) -> Markup:
    """The map as an `<svg>` element; it takes its colours from the page."""
    names = [level(v) for v in heat.ys]
    left = LETTER * max(map(len, names)) + 14
    top, wide = 22.0, (WIDTH - left - 4) / len(heat.xs)
    bottom = top + ROW * len(names)
    room = wide / LETTER - 1
    parts: list[Markup] = [text(2, 13, heat.y)]
    # The first level stands at the bottom, as on an axis.
    for i, (name, row) in enumerate(zip(names, heat.values, strict=True)):
        y = bottom - ROW * (i + 1)
        parts.append(text(left - 8, y + ROW / 2 + 4, name, "end", "var(--ink)"))
        for j, value in enumerate(row):
            parts += _cell(heat, float(value), left + wide * j, y, wide, room)
    every = math.ceil(max(len(level(v)) for v in heat.xs) / max(room, 1))
    for j, v in list(enumerate(heat.xs))[::every]:
        parts.append(text(left + wide * (j + 0.5), bottom + 16, level(v), "middle"))
    parts.append(text(left + wide * len(heat.xs) / 2, bottom + 34, heat.x, "middle"))
    return tag(
        "svg", tag("title", heat.title), *parts, viewBox=f"0 0 {WIDTH:g} {bottom + 42:g}",
        role="img", xmlns="http://www.w3.org/2000/svg", class_="chart",
    )  # fmt: skip


def framed(heat: Heat) -> Markup:
    """The map with its title and note, for a page."""
    note = tag("p", heat.note, class_="note") if heat.note else None
    return tag("figure", tag("figcaption", heat.title), svg(heat), note)


def _cell(heat: Heat, value: float, x: float, y: float, wide: float, room: float) -> list[Markup]:
    place = {"x": f"{x + 1:.1f}", "y": f"{y + 1:.1f}", "width": f"{wide - 2:.1f}",
             "height": f"{ROW - 2:g}", "rx": "3"}  # fmt: skip
    if math.isnan(value):
        return [tag("rect", **place, style="fill:none;stroke:var(--hair)")]
    if math.isinf(value):
        words, fill, ink = "diverged", "var(--shade)", "var(--quiet)"
        look = f"fill:{fill}"
    else:
        strength = heat.strength(value)
        words, ink = short(value), "var(--paper)" if strength > 0.55 else "var(--ink)"
        look = f"fill:var(--c0);fill-opacity:{0.06 + 0.86 * strength:.3f}"
    shown = words if len(words) <= room else "×" if math.isinf(value) else ""
    label = text(x + wide / 2, y + ROW / 2 + 4, shown, "middle", ink, 11)
    return [tag("rect", tag("title", words), **place, style=look), label]


def figure(heat: Heat) -> Any:
    """The map as a Matplotlib figure."""
    made = style.figure(1.6 + 0.75 * len(heat.xs), 1.4 + 0.42 * len(heat.ys))
    axes = made.subplots()
    style.dress(axes, heat.title, heat.x, heat.y, grid=False)
    from matplotlib.colors import to_rgb
    from matplotlib.patches import Rectangle

    red, green, blue = to_rgb(style.BLUE)
    for i, row in enumerate(heat.values):
        for j, value in enumerate(row):
            value = float(value)
            if math.isfinite(value):
                t = 0.06 + 0.86 * heat.strength(value)
                face: Any = tuple(1 - t * (1 - c) for c in (red, green, blue))
                words, ink = short(value), "white" if t > 0.55 else style.INK
            else:
                bad = math.isinf(value)
                face, ink, words = ("#EEEEEE" if bad else "white"), style.QUIET, "×" if bad else ""
            axes.add_patch(Rectangle((j - 0.48, i - 0.46), 0.96, 0.92, facecolor=face, linewidth=0))
            axes.text(j, i, words, ha="center", va="center", fontsize=8, color=ink)
    axes.set_xlim(-0.5, len(heat.xs) - 0.5)
    axes.set_ylim(-0.5, len(heat.ys) - 0.5)
    axes.set_xticks(range(len(heat.xs)), [level(v) for v in heat.xs])
    axes.set_yticks(range(len(heat.ys)), [level(v) for v in heat.ys])
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(length=0)
    return made
