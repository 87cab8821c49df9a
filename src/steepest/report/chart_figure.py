"""Charts as Matplotlib figures, for files."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from steepest.report import style
from steepest.report.axis import Axis, level, number, short
from steepest.report.chart_rows import rows_of
from steepest.study.tables.table import Chart, Series

BIN_SHARE = 0.09
"""The part of the axis that the bin of infinite values takes beyond its end."""


def draw(chart: Chart, along: Axis, value: Axis, bin_name: str) -> Any:
    """The figure; `along`: the axis of names or x, `value`: that of the values."""
    lies = chart.kind != "line"
    rows = sum(len(members) for _, members in rows_of(chart, along.names))
    figure = style.figure(6.4, min(16.0, 1.3 + 0.34 * rows) if lies else 3.7)
    axes = figure.subplots()
    style.dress(axes, chart.title, chart.y if lies else chart.x, "" if lies else chart.y)
    if chart.note:
        figure.supxlabel(chart.note, x=0.01, ha="left", fontsize=8, color=style.QUIET, wrap=True)
    (_rows if lies else _lines)(axes, chart, along, value, bin_name)
    return figure


def _limits(axis: Axis) -> tuple[float, float, float]:
    """Low and high end of the values, and where the infinite ones stand (the middle of the bin)."""
    if axis.log:
        span = math.log(axis.high / axis.low)
        return axis.low, axis.high, axis.high * math.exp(span * BIN_SHARE / 2)
    return axis.low, axis.high, axis.high + (axis.high - axis.low) * BIN_SHARE / 2


def _scale(axes: Any, axis: Axis, which: str) -> float:
    """Set scale, limits and ticks of the value axis; returns the place of infinite values."""
    low, high, beyond = _limits(axis)
    end = (beyond * (beyond / high) if axis.log else 2 * beyond - high) if axis.bin else high
    if axis.log:
        getattr(axes, f"set_{which}scale")("log")
    getattr(axes, f"set_{which}lim")(low, end)
    _ticks(axes, axis, which)
    if axis.bin:
        span = axes.axhspan if which == "y" else axes.axvspan
        span(high, end, color="#F1F1F1", zorder=0, linewidth=0)
    return beyond


def _ticks(axes: Any, axis: Axis, which: str) -> None:
    from matplotlib.ticker import NullLocator

    places = axis.ticks(7)
    if axis.log:
        values = [math.exp(math.log(axis.low) + p * math.log(axis.high / axis.low))
                  for p, _ in places]  # fmt: skip
    else:
        values = [axis.low + p * (axis.high - axis.low) for p, _ in places]
    getattr(axes, f"set_{which}ticks")(values, [t for _, t in places])
    getattr(axes, f"{which}axis").set_minor_locator(NullLocator())


def _lines(axes: Any, chart: Chart, x: Axis, y: Axis, bin_name: str) -> None:
    beyond = _scale(axes, y, "y")
    if x.names:
        axes.set_xlim(-0.5, len(x.names) - 0.5)
        axes.set_xticks(range(len(x.names)), x.names)
    else:
        if x.log:
            axes.set_xscale("log")
        axes.set_xlim(x.low, x.high)
        _ticks(axes, x, "x")
    ends = []
    for i, s in enumerate(chart.series):
        pen = style.colour(i)
        xs = np.array([x.names.index(level(v)) if x.names else number(v) for v in s.x], float)
        ys = np.array([number(v) for v in s.y])
        shown = np.where(np.isfinite(ys), ys, np.nan)
        few = len(ys) <= 24
        if s.low is not None and s.high is not None:
            low, high = (np.array([number(v) for v in e]) for e in (s.low, s.high))
            low, high = np.clip(low, y.low, y.high), np.clip(high, y.low, y.high)
            axes.fill_between(xs, low, high, where=np.isfinite(ys), color=pen, alpha=0.15,
                              linewidth=0)  # fmt: skip
            if few:
                axes.vlines(xs[np.isfinite(ys)], low[np.isfinite(ys)], high[np.isfinite(ys)],
                            color=pen, linewidth=1.1)  # fmt: skip
        axes.plot(xs, shown, color=pen, linewidth=1.8, marker="o" if few else None, markersize=4)
        bad = np.isinf(ys)
        axes.plot(xs[bad], np.full(bad.sum(), beyond), "x", color=pen, markersize=6,
                  markeredgewidth=1.6, linestyle="none")  # fmt: skip
        known = ys[~np.isnan(ys)]
        if len(known) and s.name:
            ends.append((beyond if np.isinf(known[-1]) else float(known[-1]), s.name, pen))
    if y.bin:
        axes.annotate(bin_name, (1, 1), xycoords="axes fraction", xytext=(-3, 3), ha="right",
                      va="bottom", textcoords="offset points", fontsize=7.5,
                      color=style.QUIET)  # fmt: skip
    if ends:
        longest = max(len(name) for _, name, _ in ends)
        axes.annotate("\u2007" * longest, (1, 0.5), xycoords="axes fraction", xytext=(8, 0),
                      textcoords="offset points", fontsize=7.5, annotation_clip=False)  # fmt: skip
        axes.figure.draw_without_rendering()
        style.label_ends(axes, ends)


def _rows(axes: Any, chart: Chart, along: Axis, value: Axis, bin_name: str) -> None:
    beyond = _scale(axes, value, "x")
    names, count = along.names, len(chart.series)
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(axis="y", length=0, colors=style.INK)
    axes.set_ylim(max(len(names), 1) - 0.5, -0.5)
    axes.grid(False, axis="y")
    one = _bar if chart.kind == "bars" else _strip
    for n, (_, members) in enumerate(rows_of(chart, names)):
        height = 0.8 / max(len(members), 1)
        for place, (i, here) in enumerate(members):
            centre = n - 0.4 + height * (place + 0.5)
            one(axes, chart.series[i], here, centre, height, style.colour(i), value, beyond)
    if value.bin:
        axes.annotate(bin_name, (1, 1), xycoords="axes fraction", xytext=(0, 3), ha="right",
                      va="bottom", textcoords="offset points", fontsize=7.5,
                      color=style.QUIET)  # fmt: skip
    if count > 1:
        from matplotlib.patches import Patch

        patches = [Patch(color=style.colour(i), label=s.name) for i, s in enumerate(chart.series)]
        axes.figure.legend(handles=patches, loc="outside upper right", ncols=min(count, 4),
                           fontsize=8, frameon=False)  # fmt: skip


def _bar(axes: Any, s: Series, here: list[int], y: float, height: float, pen: str, axis: Axis,
         beyond: float) -> None:  # fmt: skip
    for k in here:
        v = number(s.y[k])
        if math.isnan(v):
            continue
        if math.isinf(v):
            axes.plot([beyond], [y], "x", color=pen, markersize=6, markeredgewidth=1.6)
            continue
        if axis.log:
            v = max(v, axis.low)
            axes.plot([v], [y], "o", color=pen, markersize=5.5)
        else:
            axes.barh(y, v, height * 0.85, color=pen, alpha=0.55, linewidth=0)
        end = v
        if s.low is not None and s.high is not None:
            low, high = number(s.low[k]), number(s.high[k])
            if not math.isnan(low) and not math.isnan(high):
                high = beyond if math.isinf(high) else high
                low = axis.low if math.isinf(low) else max(low, axis.low)
                reach = [[max(v - low, 0)], [max(high - v, 0)]]
                axes.errorbar([v], [y], xerr=reach, ecolor=style.INK, elinewidth=1.1,
                              capsize=2.5, fmt="none")  # fmt: skip
                end = max(end, high)
        axes.annotate(short(v), (end, y), xytext=(4, 0), textcoords="offset points", va="center",
                      fontsize=7.5, color=style.INK, annotation_clip=False)  # fmt: skip


def _strip(axes: Any, s: Series, here: list[int], y: float, height: float, pen: str, axis: Axis,
           beyond: float) -> None:  # fmt: skip
    values = np.array([number(s.y[k]) for k in here])
    spread = y + (np.arange(len(values)) * 0.618034 % 1 - 0.5) * height * 0.7
    good, bad = np.isfinite(values), np.isinf(values)
    axes.plot(values[good], spread[good], "o", color=pen, markersize=3.6, alpha=0.7)
    axes.plot(np.full(bad.sum(), beyond), spread[bad], "x", color=pen, markersize=4.5)
    known = values[~np.isnan(values)]
    if len(known):
        ordered = np.sort(known)
        half = len(ordered) // 2
        middle = ordered[half] if len(ordered) % 2 else 0.5 * (ordered[half - 1] + ordered[half])
        if np.isfinite(middle):
            axes.plot([middle, middle], [y - height * 0.45, y + height * 0.45], color=style.INK,
                      linewidth=1.8)  # fmt: skip
