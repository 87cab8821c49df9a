"""Descents as a moving picture: the paths grow on the map, and f falls beside it."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from steepest.core import atomic
from steepest.core.errors import UsageError
from steepest.report import style
from steepest.report.surfaces import (
    Bounds,
    Function,
    Paths,
    check_paths,
    draw_descent,
    map_figure,
)

FRAMES = 72
"""Frames of a picture at most; long descents skip steps, in even strides of log step."""
FRAME_MS = 70
HOLD_MS = 1600
DPI = 100


def animate(
    function: Function,
    bounds: Bounds,
    paths: Paths,
    path: str | os.PathLike[str],
    *,
    names: Sequence[str] = ("x", "y"),
    title: str = "",
    minima: Any = (),
) -> None:
    """Write the paths of descents over the contours of f(x, y) as an animated GIF.

    Arguments as for `contour`. All paths run by the same clock of steps, so the faster one is seen
    to be faster. `UsageError` where the file does not end in .gif or there is no path.
    """
    style.check_format(path, (".gif",))
    tracks = check_paths(paths, 2)
    if not tracks or not any(len(p) for p in tracks.values()):
        raise UsageError("animate: there is no path to show; give at least one with a step.")
    figure, axes, below = map_figure(function, bounds, tracks, names, title, minima, dpi=DPI)
    heights = draw_descent(below, function, tracks)
    movers = []
    for i, (points, height) in enumerate(zip(tracks.values(), heights, strict=True)):
        c = style.colour(i)
        (line,) = axes.plot([], [], color=c, linewidth=1.6, zorder=3)
        (dot,) = axes.plot([], [], "o", color=c, markersize=7, markeredgecolor="white", zorder=5)
        movers.append((points, line, dot, height, np.array(height.get_xydata())))
    clock = axes.text(
        0.02, 0.97, "", transform=axes.transAxes, va="top", fontsize=9, color=style.INK, zorder=6,
        bbox={"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 2},
    )  # fmt: skip
    moving = [a for _, line, dot, height, _ in movers for a in (line, dot, height)] + [clock]
    for artist in moving:
        artist.set_animated(True)
    # The layout is settled once: a picture whose axes shift from frame to frame cannot be read.
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    canvas: Any = figure.canvas
    canvas.draw()
    background = canvas.copy_from_bbox(figure.bbox)
    frames = []
    for step in _clock(max(len(p) for p in tracks.values())):
        canvas.restore_region(background)
        for points, line, dot, height, curve in movers:
            seen = points[: step + 1]
            seen = seen[np.isfinite(seen).all(axis=1)]
            line.set_data(seen[:, 0], seen[:, 1])
            dot.set_data(seen[-1:, 0], seen[-1:, 1])
            height.set_data(*curve[: step + 1].T)
        clock.set_text(f"step {step}")
        for artist in moving:
            artist.axes.draw_artist(artist)
        frames.append(np.asarray(canvas.buffer_rgba())[..., :3].copy())
    atomic.write_bytes(path, _gif(frames))


def _clock(steps: int) -> list[int]:
    """The steps that are shown: each one at first, then ever wider apart."""
    if steps <= FRAMES:
        return list(range(steps))
    shown = np.unique(np.geomspace(1, steps, FRAMES).astype(int) - 1)
    return shown.tolist()


def _gif(frames: list[np.ndarray]) -> bytes:
    from PIL import Image

    # One palette for all frames, from the last, which has every colour: no flicker. A frame holds
    # only the pixels that changed; the others are transparent and cost next to nothing.
    clear = 255
    palette = Image.fromarray(frames[-1]).quantize(clear, dither=Image.Dither.NONE)
    shown, pictures = None, []
    for frame in frames:
        picture = Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE)
        pixels = np.asarray(picture)
        if shown is not None:
            # A picture of grey levels that is given a palette becomes one of indices into it.
            picture = Image.fromarray(np.where(pixels == shown, clear, pixels).astype(np.uint8))
            picture.putpalette(palette.getpalette() or [])
        pictures.append(picture)
        shown = pixels
    buffer = io.BytesIO()
    pictures[0].save(
        buffer, format="GIF", save_all=True, append_images=pictures[1:], loop=0, optimize=False,
        transparency=clear, disposal=1,
        duration=[FRAME_MS] * (len(pictures) - 1) + [HOLD_MS],
    )  # fmt: skip
    return buffer.getvalue()
