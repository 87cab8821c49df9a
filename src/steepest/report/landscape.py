"""Slices through the loss, and the map of learning rates."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from steepest.report import style

LEVELS = 24


def loss_line(
    a: Any, loss: Any, path: str | os.PathLike[str], *, title: str = "", label: str = "a"
) -> None:
    """Draw the loss along one direction; the weights that were kept are at 0."""
    style.check_format(path, style.FORMATS)
    a, loss = np.asarray(a, float), np.asarray(loss, float)
    figure = style.figure(5.6, 3.6)
    axes = figure.subplots()
    style.dress(axes, title, label, "loss")
    axes.plot(a, loss, color=style.BLUE, linewidth=1.9)
    centre = float(np.interp(0.0, a, loss))
    axes.plot(0, centre, "o", color=style.VERMILLION, markersize=6)
    style.scale(axes, loss)
    style.save(figure, path)


def loss_plane(
    a: Any,
    b: Any,
    loss: Any,
    path: str | os.PathLike[str],
    *,
    iterates: Any = None,
    title: str = "",
    labels: tuple[str, str] = ("a", "b"),
) -> None:
    """Draw contours of the loss over a plane, logarithmic where it spans decades.

    `loss` is (points of b, points of a); `iterates` (n, 2) are drawn as a path. The weights that
    were kept are at (0, 0).
    """
    style.check_format(path, style.FORMATS)
    a, b, loss = (np.asarray(v, float) for v in (a, b, loss))
    figure = style.figure(5.6, 4.8)
    axes = figure.subplots()
    style.dress(axes, title, *labels, grid=False)
    shown = np.where(np.isfinite(loss), loss, np.nanmax(np.where(np.isfinite(loss), loss, np.nan)))
    logarithmic = style.spans_decades(shown)
    z = np.log10(shown) if logarithmic else shown
    levels = np.unique(np.quantile(z, np.linspace(0, 1, LEVELS)))
    if len(levels) > 2:
        filled = axes.contourf(a, b, z, levels=levels, cmap="Blues", alpha=0.85)
        axes.contour(a, b, z, levels=levels, colors="white", linewidths=0.5)
        bar = figure.colorbar(filled, ax=axes, shrink=0.85)
        bar.set_label("log10 of the loss" if logarithmic else "loss", fontsize=9)
        bar.ax.tick_params(labelsize=8)
    if iterates is not None and len(iterates):
        track = np.asarray(iterates, float)
        axes.plot(*track.T, color=style.VERMILLION, linewidth=1.4, marker=".", markersize=3)
        axes.plot(*track[0], "o", markerfacecolor="white", markeredgecolor=style.VERMILLION)
    axes.plot(0, 0, "o", color=style.VERMILLION, markersize=6)
    style.save(figure, path)


def rate_map(
    rates: Any,
    success: Any,
    low: Any,
    high: Any,
    loss: Any,
    path: str | os.PathLike[str],
    *,
    limit: float | None = None,
    chosen: float | None = None,
    title: str = "",
) -> None:
    """Draw the share of seeds that succeed, with its interval, and the loss, by learning rate.

    `limit`, the largest stable rate, is a dashed line; `chosen` a mark below.
    """
    style.check_format(path, style.FORMATS)
    rates = np.asarray(rates, float)
    figure = style.figure(6.4, 5.2)
    above, below = figure.subplots(2, 1, sharex=True)
    style.dress(above, title or "Share of seeds that succeed", "", "share")
    above.fill_between(rates, low, high, color=style.BLUE, alpha=0.16, linewidth=0)
    above.plot(rates, success, color=style.BLUE, marker="o", markersize=4)
    above.set_ylim(-0.04, 1.04)
    style.dress(below, "Training loss, median of seeds", "learning rate", "loss")
    loss = np.asarray(loss, float)
    below.plot(rates, np.where(np.isfinite(loss), loss, np.nan), color=style.GREEN, marker="o",
               markersize=4)  # fmt: skip
    style.scale(below, loss)
    for axes in (above, below):
        axes.set_xscale("log")
        if limit is not None:
            axes.axvline(limit, color=style.QUIET, linewidth=0.9, linestyle=(0, (3, 2)))
        if chosen is not None:
            axes.axvline(chosen, color=style.VERMILLION, linewidth=0.9)
    if limit is not None:
        above.annotate("stable limit", (limit, 0.5), xytext=(4, 0), textcoords="offset points",
                       fontsize=8, color=style.QUIET)  # fmt: skip
    style.save(figure, path)
