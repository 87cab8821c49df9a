"""The look of all plots, and how they reach the disk.

Figures are made by Matplotlib's object interface, with its Agg canvas: no global state is touched,
so a user's own pyplot figures and settings are left alone.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from steepest.core import atomic
from steepest.core.errors import UsageError

# Okabe and Ito, "Color Universal Design" (2008): told apart with any kind of colour vision.
BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY = (
    "#0072B2", "#D55E00", "#009E73", "#B8578F", "#C98500", "#3A9BD1",
)  # fmt: skip
PALETTE = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, "#4D4D4D", "#8A5A3C")
INK, QUIET, HAIR = "#222222", "#666666", "#E4E4E4"
DPI = 160
FORMATS = (".png", ".svg", ".pdf")


def colour(i: int) -> str:
    """The colour of the i-th series."""
    return PALETTE[i % len(PALETTE)]


def figure(width: float, height: float) -> Any:
    """An empty figure of so many inches that lays out its axes itself."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(made)
    return made


def dress(axes: Any, title: str = "", x: str = "", y: str = "", grid: bool = True) -> None:
    """Give axes their title (at the left, where reading starts), labels, and a quiet frame."""
    axes.set_title(title, loc="left", fontsize=10.5, color=INK, fontweight="bold", pad=8)
    axes.set_xlabel(x, fontsize=9, color=QUIET)
    axes.set_ylabel(y, fontsize=9, color=QUIET)
    axes.tick_params(labelsize=8.5, colors=QUIET, length=3, width=0.6)
    axes.tick_params(which="minor", length=0)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color("#BBBBBB")
        spine.set_linewidth(0.8)
    if grid:
        axes.grid(True, color=HAIR, linewidth=0.7)
        axes.set_axisbelow(True)


def spans_decades(values: Any, decades: float = 2.0) -> bool:
    """Whether positive values spread so wide that only a logarithmic axis shows them."""
    values = np.asarray(values, float)
    values = values[np.isfinite(values)]
    if not len(values) or values.min() <= 0:
        return False
    # The lowest tenth may be a schedule's last steps, and would stretch the axis for itself alone.
    return bool(values.max() > np.quantile(values, 0.1) * 10**decades)


def scale(axes: Any, values: Any, margin: float = 0.06) -> None:
    """Limits (and a logarithmic scale where needed) that show just `values`."""
    values = np.asarray(values, float)
    values = values[np.isfinite(values)]
    if not len(values):
        return
    low, high = values.min(), values.max()
    if spans_decades(values):
        axes.set_yscale("log")
        pad = (high / low) ** margin
        axes.set_ylim(low / pad, high * pad)
        return
    pad = margin * (high - low) or max(abs(high), 1.0) * 0.05
    axes.set_ylim(low - pad, high + pad)


def label_ends(axes: Any, ends: Sequence[tuple[float, str, str]]) -> None:
    """Write the names of lines beside their right ends, moved apart where they would overlap.

    `ends`: (height in data units, text, colour) of each line.
    """
    box = axes.get_window_extent()
    gap = 11.5 * axes.figure.dpi / 72 / max(box.height, 1)
    to_axes = axes.transData + axes.transAxes.inverted()
    placed = sorted(
        (float(np.clip(to_axes.transform((1, y))[1], 0, 1)), text, c) for y, text, c in ends
    )
    heights = [h for h, _, _ in placed]
    for i in range(1, len(heights)):
        heights[i] = max(heights[i], heights[i - 1] + gap)
    excess = max(0.0, heights[-1] - 1) if heights else 0.0
    for i in reversed(range(len(heights))):
        ceiling = heights[i + 1] - gap if i + 1 < len(heights) else 1.0
        heights[i] = min(heights[i], ceiling) if excess else heights[i]
    for height, (_, text, c) in zip(heights, placed, strict=True):
        axes.annotate(
            text, (1, height), xycoords="axes fraction", xytext=(6, 0),
            textcoords="offset points", color=c, fontsize=8.5, va="center", annotation_clip=False,
        )  # fmt: skip


def label_points(axes: Any, points: Sequence[tuple[float, float, str, str]], **look: Any) -> None:
    """Write names beside points, none over another or beyond the axes where there is room.

    `points`: (x, y, text, colour) of each. A name stands to the right or left of its point, as
    near to its height as the names before it allow.
    """
    figure = axes.figure
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    frame, point = axes.get_window_extent(renderer), figure.dpi / 72
    taken: list[tuple[float, float, float, float]] = []
    for x, y, text, c in points:
        note = axes.annotate(
            text, (x, y), xytext=(0, 0), textcoords="offset points", color=c, fontsize=8.5,
            va="center", zorder=6, annotation_clip=False, **look,
        )  # fmt: skip
        size = note.get_window_extent(renderer)
        at = axes.transData.transform((x, y))
        gap, line = 7 * point, size.height + 4 * point
        places = [
            (gap if right else -gap - size.width, sign * rung * line / 2)
            for rung in range(4 * len(points) + 2)
            for right in (True, False)
            for sign in ((1, -1) if rung else (1,))
        ]
        boxes = [
            (
                at[0] + dx,
                at[1] + dy - line / 2,
                at[0] + dx + size.width,
                at[1] + dy + line / 2,
            )
            for dx, dy in places
        ]
        inside = (
            i
            for i, (x0, y0, x1, y1) in enumerate(boxes)
            if x0 >= frame.x0 and x1 <= frame.x1 and y0 >= frame.y0 and y1 <= frame.y1
            and all(x0 >= b[2] or x1 <= b[0] or y0 >= b[3] or y1 <= b[1] for b in taken)
        )  # fmt: skip
        best = next(inside, 0)
        taken.append(boxes[best])
        note.set_position((places[best][0] / point, places[best][1] / point))


def save(made: Any, path: str | os.PathLike[str], dpi: int = DPI) -> None:
    """Write a figure as PNG, SVG or PDF by the ending of `path`, atomically."""
    suffix = check_format(path, FORMATS)
    buffer = io.BytesIO()
    metadata: dict[str, Any] = {"Date": None} if suffix == ".svg" else {}
    made.savefig(buffer, format=suffix[1:], dpi=dpi, metadata=metadata)
    atomic.write_bytes(path, buffer.getvalue())


def check_format(path: str | os.PathLike[str], formats: Sequence[str]) -> str:
    """The ending of `path`, in small letters; `UsageError` where it is none of `formats`."""
    suffix = Path(path).suffix.lower()
    if suffix not in formats:
        raise UsageError(
            f"{os.fspath(path)}: pictures are written as {', '.join(formats)}; "
            "give the file one of these endings."
        )
    return suffix
