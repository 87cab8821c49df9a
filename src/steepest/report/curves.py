"""How training went: loss, metric, gradient norm and learning rate, over epochs or steps."""

from __future__ import annotations

import itertools
import os
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from steepest.core.errors import UsageError
from steepest.core.trace import Trace
from steepest.report import style

BINS = 240
"""Points of a curve by steps; more would only be noise at the size of a panel."""
BAND = (10, 90)
"""Percentiles of the seeds between which the band lies."""
SUMMARY = {
    "accuracy": "Accuracy", "r2": "R²", "rmse": "Root mean squared error",
    "mae": "Mean absolute error",
}  # fmt: skip


class Series(NamedTuple):
    """A line of a panel: x (n,), y (n, seeds) of runs that went well, and those that did not."""

    name: str
    x: np.ndarray
    y: np.ndarray
    lost: np.ndarray
    colour: str
    dashed: bool = False
    noisy: bool = False


def curves(
    trace: Trace,
    path: str | os.PathLike[str],
    *,
    title: str = "",
    labels: Sequence[str] = (),
    diverged: Any = None,
) -> None:
    """Draw a trace as PNG, SVG or PDF, by the ending of `path`.

    Of each cell the median over seeds is shown with the band between the 10th and the 90th
    percentile. A run that has ended keeps its last value. Runs that `diverged` ((seeds, cells)
    booleans; found from their last loss if None) are thin dashed lines that leave the panel at a
    cross: they neither move the medians nor set the axes. `labels` names the cells. `UsageError`
    where the trace is empty or the ending is not known.
    """
    style.check_format(path, style.FORMATS)
    if not len(trace.steps) and not len(trace.epochs):
        raise UsageError("curves: the trace is empty; run at least one step with probes.")
    if diverged is None:
        diverged = _diverged(trace)
    diverged = np.asarray(diverged, bool).reshape(len(trace.seeds), trace.cells)
    names = list(labels) or [f"cell {c}" for c in range(trace.cells)]
    panels = _panels(trace, names, diverged)
    columns = 1 if len(panels) == 1 else 2
    rows = -(-len(panels) // columns)
    figure = style.figure(5.2 * columns + 0.4, 2.9 * rows + (0.45 if title else 0.1))
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=12.5, color=style.INK)
    grid = figure.subplots(rows, columns, squeeze=False)
    drawn = []
    by = "epoch" if len(trace.epochs) else "step"
    for axes, (heading, series) in zip(grid.flat, panels, strict=False):
        style.dress(axes, heading, by)
        drawn.append((axes, _draw(axes, series), series))
    for axes in list(grid.flat)[len(panels) :]:
        axes.remove()
    note = _note(trace, diverged)
    if note:
        figure.supxlabel(note, x=0.01, ha="left", fontsize=8.5, color=style.QUIET)
    # Labels are placed in pixels, so the layout must be settled before; they then take their room.
    _settle(figure, drawn)
    _mark_best(trace, drawn[0][0], diverged)
    style.save(figure, path)


def _settle(figure: Any, drawn: list) -> None:
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.08)
    longest = max((len(text) for _, ends, _ in drawn for _, text, _ in ends), default=0)
    for axes, _, _ in drawn:
        # An empty text of the width of the longest label reserves the margin for it.
        axes.annotate(
            "\u2007" * longest, (1, 0.5), xycoords="axes fraction", xytext=(8, 0),
            textcoords="offset points", fontsize=7.5, annotation_clip=False,
        )  # fmt: skip
    figure.draw_without_rendering()
    for axes, ends, _ in drawn:
        style.label_ends(axes, ends)


def _panels(trace: Trace, names: list[str], diverged: np.ndarray) -> list[tuple[str, list[Series]]]:
    # A run that ended within its first epoch has no row by epochs.
    epochs = trace.epochs if len(trace.epochs.get("epoch", ())) else {}
    steps = trace.steps
    panels: list[tuple[str, list[Series]]] = []

    def by_epoch(column: str, name: str, colour: int, dashed: bool = False) -> list[Series]:
        x = np.asarray(epochs["epoch"], float)
        return _cells(name, x, epochs[column], names, diverged, colour, dashed)

    if "train_loss" in epochs:
        series = by_epoch("train_loss", "training", 0, dashed=trace.cells > 1)
        if "validation_loss" in epochs:
            series += by_epoch("validation_loss", "validation", 1)
        panels.append(("Loss", series))
    elif "loss" in steps:
        panels.append(("Loss", _by_step(trace, "loss", names, diverged)))
    metrics = [c for c in epochs if c.startswith("validation_") and c != "validation_loss"]
    if metrics:
        short = metrics[0].removeprefix("validation_")
        heading = f"{SUMMARY.get(short, short)} on validation data"
        panels.append((heading, by_epoch(metrics[0], "", 1)))
    for column, heading in (("gradient_norm", "Gradient norm"), ("learning_rate", "Learning rate")):
        if column in steps:
            series = _by_step(trace, column, names, diverged)
            if column == "learning_rate" and not diverged.all():
                series = _once([s._replace(lost=s.lost[:, :0]) for s in series])
            panels.append((heading, series))
    return panels


def _cells(name, x, values, names, diverged, colour, dashed) -> list[Series]:
    """A series for each cell; one cell is named by what is shown, several by their labels."""
    out = []
    for c in range(values.shape[2]):
        y = np.asarray(values[:, :, c], float)
        bad = diverged[:, c]
        alone = values.shape[2] == 1
        label = name if alone else ("" if dashed else names[c])
        out.append(
            Series(
                label, x, _hold(y[:, ~bad]), y[:, bad], style.colour(colour if alone else c), dashed
            )
        )
    return out


def _once(series: list[Series]) -> list[Series]:
    """One line without a name where all cells have the same."""
    middles = [np.nanmedian(s.y, axis=1) for s in series if s.y.shape[1]]
    if len(middles) > 1 and all(np.array_equal(m, middles[0], equal_nan=True) for m in middles):
        return [series[0]._replace(name="", colour=style.QUIET)]
    return series


def _by_step(trace: Trace, column: str, names: list[str], diverged: np.ndarray) -> list[Series]:
    """A column by steps, in at most `BINS` bins of which the median is shown."""
    steps = trace.steps
    x = np.asarray(steps["epoch"] if len(trace.epochs) else steps["step"], float)
    values = np.asarray(steps[column], float)
    if len(x) > BINS:
        edges = np.linspace(0, len(x), BINS + 1).astype(int)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            pairs = list(itertools.pairwise(edges))
            values = np.stack([np.nanmedian(values[a:b], axis=0) for a, b in pairs])
            x = np.stack([x[a:b].mean() for a, b in pairs])
    series = _cells("", x, values, names, diverged, 0, False)
    return [s._replace(noisy=len(trace.epochs) > 0) for s in series]


def _hold(y: np.ndarray) -> np.ndarray:
    """A run that has ended stays where it was: its last number in place of the NaN after it."""
    known = np.where(np.isfinite(y), np.arange(len(y))[:, None], 0)
    return np.take_along_axis(y, np.maximum.accumulate(known, axis=0), axis=0)


def _draw(axes: Any, panel: list[Series]) -> list[tuple[float, str, str]]:
    """Draw the series of a panel; returns the heights, names and colours of their ends."""
    ends, shown = [], []
    for s in panel:
        if s.y.shape[1] == 0 or not np.isfinite(s.y).any():
            continue
        low, middle, high = np.nanpercentile(s.y, [BAND[0], 50, BAND[1]], axis=1)
        if s.y.shape[1] > 1:
            axes.fill_between(s.x, low, high, color=s.colour, alpha=0.16, linewidth=0)
        axes.plot(
            s.x, middle, color=s.colour, linewidth=1.3 if s.dashed or s.noisy else 1.9,
            linestyle=(0, (2, 1.6)) if s.dashed else "-", solid_capstyle="round",
            marker="o" if len(s.x) == 1 else None,
        )  # fmt: skip
        shown += [low, middle, high]
        if s.name:
            ends.append((float(middle[np.isfinite(middle)][-1]), s.name, s.colour))
    lost = [(s, y) for s in panel for y in s.lost.T if np.isfinite(y).any()]
    if not shown:
        # All runs diverged: show where they began, up to ten times their first value.
        for _, y in lost:
            first = y[np.isfinite(y)][0]
            shown.append(np.clip(y[np.isfinite(y)], -10 * abs(first), 10 * abs(first)))
    everything = np.concatenate([np.ravel(v) for v in shown]) if shown else np.zeros(0)
    style.scale(axes, everything)
    # Steps and epochs are counted from 0, so that panels by either line up.
    axes.set_xlim(0, max(s.x[-1] for s in panel) or 1)
    for s, y in lost:
        _draw_lost(axes, s, y)
    return ends


def _draw_lost(axes: Any, s: Series, y: np.ndarray) -> None:
    """A run that diverged: dashed, and a cross where it leaves the panel or ends."""
    low, high = axes.get_ylim()
    y = y[: int(np.flatnonzero(np.isfinite(y))[-1]) + 1]
    inside = np.flatnonzero((y >= low) & (y <= high))
    # A single spike may leave the panel and return; the cross is where it leaves for good.
    end = min(int(inside[-1]) + 1 if len(inside) else 0, len(y) - 1)
    line = {"color": s.colour, "alpha": 0.8}
    axes.plot(s.x[: end + 1], y[: end + 1], linewidth=0.9, linestyle=(0, (3, 2)), **line)
    axes.plot(
        s.x[end], np.clip(y[end], low, high), marker="x", markersize=6, markeredgewidth=1.6,
        clip_on=False, zorder=5, **line,
    )  # fmt: skip


def _mark_best(trace: Trace, axes: Any, diverged: np.ndarray) -> None:
    """A hairline at the epoch of the lowest validation loss, for a single cell."""
    if trace.cells != 1 or "validation_loss" not in trace.epochs or diverged.all():
        return
    good = _hold(np.asarray(trace.epochs["validation_loss"][:, ~diverged[:, 0], 0], float))
    if len(good) < 2:
        return
    at = int(np.argmin(np.median(good, axis=1)))
    x = float(trace.epochs["epoch"][at])
    axes.axvline(x, color=style.QUIET, linewidth=0.8, linestyle=(0, (1, 2)))
    left = at > len(good) / 2
    axes.annotate(
        f"best epoch {x:g}", (x, 1), xycoords=("data", "axes fraction"),
        xytext=(-4 if left else 4, -3), textcoords="offset points", fontsize=8,
        color=style.QUIET, ha="right" if left else "left", va="top",
    )  # fmt: skip


def _note(trace: Trace, diverged: np.ndarray) -> str:
    runs, bad = diverged.size, int(diverged.sum())
    parts = []
    if len(trace.seeds) > 1:
        parts.append(f"line: median of {len(trace.seeds)} seeds; band: 10 to 90 %")
    if trace.cells > 1 and "validation_loss" in trace.epochs and "train_loss" in trace.epochs:
        parts.append("loss: solid on validation data, dotted on training data")
    if bad:
        which = "the run diverged" if runs == 1 else f"{bad} of {runs} runs diverged"
        parts.append(f"×: {which}")
    return "   ·   ".join(parts)


def _diverged(trace: Trace) -> np.ndarray:
    """(seeds, cells): whether a run's last loss is not finite or far above its first."""
    shape = (len(trace.seeds), trace.cells)
    if "loss" not in trace.steps:
        return np.zeros(shape, bool)
    loss = np.asarray(trace.steps["loss"], float)
    other = np.zeros(loss.shape, bool)
    for name in ("gradient_norm", "learning_rate", "step_norm"):
        if name in trace.steps:
            other |= ~np.isnan(np.asarray(trace.steps[name], float))
    out = np.zeros(shape, bool)
    for s, c in np.ndindex(shape):
        rows = np.flatnonzero(~np.isnan(loss[:, s, c]) | other[:, s, c])
        if not len(rows):
            continue
        first, last = loss[rows[0], s, c], loss[rows[-1], s, c]
        out[s, c] = not np.isfinite(last) or abs(last) > 1e3 * max(abs(first), 1.0)
    return out
