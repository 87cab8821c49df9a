"""Functions of one or two variables, and the paths that descents took over them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from steepest.core.errors import UsageError
from steepest.report import style

Function = Callable[[np.ndarray], np.ndarray]
Bounds = Sequence[tuple[float, float]]
Paths = Mapping[str, np.ndarray]

GRID = 240
"""Points along each side on which a function is evaluated to draw it."""
LEVELS = 18
LOW, HIGH, LINES = "#FCFDFE", "#9FB6CB", "#8AA1B7"
"""Valleys are light, for that is where paths run and must be seen; walls are darker."""


def contour(
    function: Function,
    bounds: Bounds,
    paths: Paths,
    path: str | os.PathLike[str],
    *,
    names: Sequence[str] = ("x", "y"),
    title: str = "",
    minima: Any = (),
) -> None:
    """Draw the contours of f(x, y) with the paths of descents, and f along each path.

    `function` maps points (k, 2) to values (k,); `bounds` is ((x low, x high), (y low, y high));
    `paths` maps a label to points (steps, 2), from the start on; `minima` (k, 2) are marked.
    Levels lie at equal shares of the area, closer in the valleys, so that flat valleys and steep
    walls both show. Paths that leave the bounds are cut there. PNG, SVG or PDF by the ending of
    `path`; `UsageError` where it is none of them or a path has not two columns.
    """
    style.check_format(path, style.FORMATS)
    tracks = check_paths(paths, 2)
    figure, axes, below = map_figure(function, bounds, tracks, names, title, minima)
    for i, points in enumerate(tracks.values()):
        draw_track(axes, points, style.colour(i))
    if below is not None:
        draw_descent(below, function, tracks)
    if len(tracks) > 1:
        label_tracks(axes, tracks, bounds)
    style.save(figure, path)


def surface(
    function: Function,
    bounds: Bounds,
    paths: Paths,
    path: str | os.PathLike[str],
    *,
    names: Sequence[str] = ("x", "y"),
    title: str = "",
) -> None:
    """Draw the graph of f(x, y) in three dimensions with the paths on it; see `contour`.

    Where f spans decades the height is log10(f - smallest + a thousandth of the spread).
    """
    style.check_format(path, style.FORMATS)
    tracks = check_paths(paths, 2)
    x, y, z = grid(function, bounds, 110)
    height, zlabel = _height(z)
    figure = style.figure(7.2, 5.2)
    axes: Any = figure.add_subplot(projection="3d", computed_zorder=False)
    axes.plot_surface(
        x, y, height(z), cmap=_shades("#EEF3F8", "#7F9DB9"), rcount=110, ccount=110,
        linewidth=0, antialiased=False, zorder=1,
    )  # fmt: skip
    axes.contour(x, y, height(z), levels=14, colors="white", linewidths=0.6, zorder=2)
    for i, (label, points) in enumerate(tracks.items()):
        inside = within(points, bounds)
        if not len(inside):
            continue
        z_path = height(_values(function, inside))
        line = {"color": style.colour(i), "zorder": 3 + i}
        axes.plot(*inside.T, z_path, linewidth=2, label=label, **line)
        axes.scatter(*inside[0], z_path[0], s=26, facecolor="white", edgecolor=line["color"],
                     zorder=10, depthshade=False)  # fmt: skip
        axes.scatter(*inside[-1], z_path[-1], s=26, color=line["color"], zorder=10,
                     depthshade=False)  # fmt: skip
    axes.set_xlabel(names[0], fontsize=9, color=style.QUIET)
    axes.set_ylabel(names[1], fontsize=9, color=style.QUIET)
    axes.set_zlabel(zlabel, fontsize=9, color=style.QUIET)
    axes.tick_params(labelsize=8, colors=style.QUIET)
    for pane in (axes.xaxis, axes.yaxis, axes.zaxis):
        pane.set_pane_color((1, 1, 1, 0))
        pane._axinfo["grid"].update(color=style.HAIR, linewidth=0.6)
        pane.line.set_color("#BBBBBB")
    axes.view_init(elev=40, azim=-62)
    axes.set_box_aspect((1, 1, 0.62), zoom=1.0)
    if title:
        figure.suptitle(title, x=0.02, ha="left", fontsize=12.5, color=style.INK)
    if len(tracks) > 1:
        axes.legend(frameon=False, fontsize=8.5, loc="upper right", labelcolor="linecolor")
    style.save(figure, path)


def profile(
    function: Function,
    bounds: Bounds,
    paths: Paths,
    path: str | os.PathLike[str],
    *,
    names: Sequence[str] = ("x",),
    title: str = "",
) -> None:
    """Draw the graph of f(x) with the points that descents went through, and f at each step.

    `function` maps points (k, 1) to values (k,), `paths` a label to points (steps, 1).
    """
    style.check_format(path, style.FORMATS)
    tracks = check_paths(paths, 1)
    ((low, high),) = bounds
    x = np.linspace(low, high, 4 * GRID)
    y = _values(function, x[:, None])
    figure = style.figure(9.6, 4.0)
    axes, below = figure.subplots(1, 2, width_ratios=(1.25, 1))
    style.dress(axes, title or "Path of the descent", names[0], f"f({names[0]})")
    axes.plot(x, y, color="#8AACC9", linewidth=2)
    style.scale(axes, y)
    axes.set_xlim(low, high)
    for i, points in enumerate(tracks.values()):
        inside = within(points, bounds)
        if len(inside):
            heights = _values(function, inside)
            c = style.colour(i)
            axes.plot(inside[:, 0], heights, color=c, linewidth=0.9, marker="o", markersize=3.4)
            _ends(axes, np.column_stack([inside[:, 0], heights]), c)
    draw_descent(below, function, tracks)
    style.save(figure, path)


def map_figure(
    function: Function,
    bounds: Bounds,
    tracks: Paths,
    names: Sequence[str],
    title: str,
    minima: Any,
    dpi: float | None = None,
) -> tuple[Any, Any, Any]:
    """(figure, axes of the map, axes for f along the paths or None), the contours drawn."""
    figure = style.figure(9.6 if tracks else 5.4, 4.4)
    if dpi is not None:
        figure.set_dpi(dpi)
    if tracks:
        axes, below = figure.subplots(1, 2, width_ratios=(1.25, 1))
    else:
        axes, below = figure.subplots(), None
    x, y, z = grid(function, bounds, GRID)
    style.dress(axes, title or "Path of the descent", names[0], names[1], grid=False)
    levels = _levels(z)
    shown = np.where(np.isfinite(z), z, np.nan)
    if len(levels) > 1:
        shades = _shades(LOW, HIGH)(np.linspace(0, 1, len(levels) - 1))
        axes.contourf(x, y, shown, levels=levels, colors=shades)
        axes.contour(x, y, shown, levels=levels[1:-1], colors=LINES, linewidths=0.5)
    axes.set_xlim(*bounds[0])
    axes.set_ylim(*bounds[1])
    for point in np.reshape(np.asarray(minima, float), (-1, 2)):
        axes.plot(
            *point, linestyle="", marker="*", markersize=11, color=style.INK,
            markeredgecolor="white", markeredgewidth=0.8, zorder=4,
        )  # fmt: skip
    return figure, axes, below


def draw_track(axes: Any, points: np.ndarray, colour: str) -> Any:
    """A path on the map, its start as a ring and its end as a dot; returns the line."""
    finite = points[np.isfinite(points).all(axis=1)]
    few = len(finite) <= 60
    (line,) = axes.plot(
        finite[:, 0], finite[:, 1], color=colour, linewidth=1.6, solid_joinstyle="round",
        marker="o" if few else None, markersize=2.6, zorder=3,
    )  # fmt: skip
    if len(finite):
        _ends(axes, finite, colour)
    return line


def draw_descent(axes: Any, function: Function, tracks: Paths) -> list[Any]:
    """f along each path, by step; what is far above the start is cut. Returns the lines."""
    values = [_values(function, p) for p in tracks.values()]
    finite = np.concatenate([v[np.isfinite(v)] for v in values] or [np.zeros(0)])
    lowest = finite.min() if len(finite) else 0.0
    starts = [v[0] for v in values if len(v) and np.isfinite(v[0])]
    ceiling = max(starts, default=0.0)
    ceiling += 0.5 * (ceiling - lowest) + 1e-12
    # A path that rises and comes back is shown whole; one that ends above all this has diverged.
    ceiling = max([ceiling, *(np.nanmax(v) for v in values if len(v) and v[-1] <= ceiling)])
    longest = max((len(v) for v in values), default=1)
    style.dress(axes, "Value at each step", "step", "f")
    shown = [np.minimum(v, ceiling) for v in values]
    positive = finite[finite > 0]
    if len(positive) and lowest >= 0:
        # The last steps of a descent that reached 0 exactly have no place on a log axis.
        style.scale(axes, np.concatenate([v[v > 0] for v in shown]))
    elif len(finite):
        style.scale(axes, np.concatenate(shown))
    ends, early, lines = [], [], []
    for i, (label, v) in enumerate(zip(tracks, shown, strict=True)):
        c = style.colour(i)
        lines += axes.plot(np.arange(len(v)), v, color=c, linewidth=1.7)
        known = np.flatnonzero(np.isfinite(v))
        if not len(known):
            continue
        last = int(known[-1])
        if not values[i][-1] <= ceiling:
            axes.plot(last, v[last], marker="x", color=c, markersize=6, clip_on=False)
        if len(tracks) > 1 and last < 0.8 * longest:
            early.append((last, float(v[last]), label, c))
        elif len(tracks) > 1:
            ends.append((float(v[last]), label, c))
    axes.set_xlim(0, max(longest - 1, 1))
    if ends:
        _reserve(axes, max(len(label) for _, label, _ in ends))
        axes.figure.draw_without_rendering()
        style.label_ends(axes, ends)
    if early:
        style.label_points(axes, early)
    return lines


def label_tracks(axes: Any, tracks: Paths, bounds: Bounds) -> None:
    """The names of paths beside their last points inside the map."""
    ends = []
    for i, (label, points) in enumerate(tracks.items()):
        inside = within(points, bounds)
        if len(inside):
            ends.append((*inside[-1].tolist(), label, style.colour(i)))
    box = {"boxstyle": "round,pad=0.15", "facecolor": "white", "alpha": 0.75, "linewidth": 0}
    style.label_points(axes, ends, fontweight="bold", bbox=box)


def check_paths(paths: Paths, dimensions: int) -> dict[str, np.ndarray]:
    """Paths as float arrays; `UsageError` where one has another number of columns."""
    out = {}
    for label, points in paths.items():
        array = np.asarray(points, float)
        if array.ndim != 2 or array.shape[1] != dimensions:
            raise UsageError(
                f"Path {label!r} has shape {array.shape}; this picture needs (steps, {dimensions})."
            )
        out[label] = array
    return out


def within(points: np.ndarray, bounds: Bounds) -> np.ndarray:
    """The points inside the bounds."""
    low, high = np.asarray(bounds, float).T
    return points[((points >= low) & (points <= high)).all(axis=1)]


def grid(function: Function, bounds: Bounds, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, y and f on an n x n grid over the bounds."""
    x, y = np.meshgrid(*(np.linspace(*b, n) for b in bounds))
    z = _values(function, np.column_stack([x.ravel(), y.ravel()])).reshape(x.shape)
    return x, y, z


def _values(function: Function, points: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        return np.asarray(function(points), float).reshape(len(points))


def _levels(z: np.ndarray) -> np.ndarray:
    """Levels at equal shares of the area, the lowest shares divided further."""
    finite = z[np.isfinite(z)]
    if not len(finite):
        return np.zeros(0)
    shares = np.linspace(0, 1, LEVELS) ** 1.6
    return np.unique(np.quantile(finite, shares))


def _shades(low: str, high: str) -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("height", [low, high])


def _height(z: np.ndarray) -> tuple[Callable[[np.ndarray], np.ndarray], str]:
    finite = z[np.isfinite(z)]
    low, high = (finite.min(), finite.max()) if len(finite) else (0.0, 1.0)
    spread = high - low
    if spread > 0 and (np.median(finite) - low) < 0.03 * spread:
        floor = 1e-3 * spread

        def log_height(v: np.ndarray) -> np.ndarray:
            return np.log10(np.maximum(v - low, 0) + floor)

        return log_height, f"log₁₀(f − {low:.3g} + {floor:.2g})"
    return lambda v: v, "f"


def _ends(axes: Any, points: np.ndarray, colour: str) -> None:
    axes.plot(*points[0], marker="o", markersize=6.5, markerfacecolor="white",
              markeredgecolor=colour, markeredgewidth=1.6, zorder=5)  # fmt: skip
    axes.plot(*points[-1], marker="o", markersize=6.5, color=colour, markeredgecolor="white",
              markeredgewidth=0.8, zorder=5)  # fmt: skip


def _reserve(axes: Any, letters: int) -> None:
    """Room for labels at the right: an invisible text that the layout takes into account."""
    axes.annotate(
        "\u2007" * letters, (1, 0.5), xycoords="axes fraction", xytext=(8, 0),
        textcoords="offset points", fontsize=8, annotation_clip=False,
    )  # fmt: skip
