"""Decision trees as text and as pictures; nodes as arrays, under scikit-learn's names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from steepest.report import style

LEAF = -1
WIDTH, HEIGHT = 1.15, 1.0
"""Inches that a leaf, and a level, takes in a figure made here."""
LARGEST = 40.0


def tree_text(
    tree: Any,
    features: Sequence[str],
    classes: Sequence[str] | None = None,
    *,
    decimals: int = 2,
) -> str:
    """A tree of hard splits as text, in the form of scikit-learn's `export_text`.

    `tree` has `children_left`, `children_right`, `feature`, `threshold`, `value` (nodes, outputs)
    and `n_node_samples`; `classes` names the outputs if they are probabilities.
    """
    lines: list[str] = []

    def walk(node: int, bars: str) -> None:
        if tree.children_left[node] == LEAF:
            said = _leaf(tree.value[node], classes, decimals)
            lines.append(f"{bars}|--- {said} ({_rows(tree.n_node_samples[node])})")
            return
        name, at = features[tree.feature[node]], f"{tree.threshold[node]:.{decimals}f}"
        lines.append(f"{bars}|--- {name} <= {at}")
        walk(tree.children_left[node], bars + "|   ")
        lines.append(f"{bars}|--- {name} >  {at}")
        walk(tree.children_right[node], bars + "|   ")

    walk(0, "")
    return "\n".join(lines) + "\n"


def oblique_text(
    weight: np.ndarray,
    bias: np.ndarray,
    value: np.ndarray,
    features: Sequence[str],
    classes: Sequence[str] | None = None,
    *,
    decimals: int = 2,
    terms: int = 4,
) -> str:
    """A soft tree as text: each node sends the share sigmoid(x w + b) to its first branch.

    weight (features, nodes), bias (nodes,), value (leaves, outputs), nodes level by level. Of a sum
    the `terms` features whose weight is largest are shown.
    """
    lines: list[str] = []

    def walk(node: int, bars: str) -> None:
        if node >= len(bias):
            lines.append(f"{bars}|--- {_leaf(value[node - len(bias)], classes, decimals)}")
            return
        said = _sum(weight[:, node], bias[node], features, decimals, terms)
        lines.append(f"{bars}|--- share sigmoid({said})")
        walk(2 * node + 1, bars + "|   ")
        lines.append(f"{bars}|--- the rest")
        walk(2 * node + 2, bars + "|   ")

    walk(0, "")
    return "\n".join(lines) + "\n"


def plot_tree(
    tree: Any,
    features: Sequence[str],
    classes: Sequence[str] | None = None,
    *,
    ax: Any = None,
    decimals: int = 2,
) -> Any:
    """Draw a tree of hard splits; returns Matplotlib's axes.

    Rows for which a split holds go left. Boxes of leaves have the colour of their class, the paler
    the less sure, or of their value from low to high. Without `ax` a figure is made that is large
    enough for the boxes not to overlap; it belongs to no pyplot session.
    """
    place = _places(tree)
    if ax is None:
        width = min(LARGEST, max(4.0, WIDTH * (place[:, 0].max() + 1)))
        ax = style.figure(width, max(2.5, HEIGHT * (place[:, 1].max() + 1))).add_subplot()
    ax.set_axis_off()
    ax.set_xlim(-0.7, place[:, 0].max() + 0.7)
    ax.set_ylim(place[:, 1].max() + 0.5, -0.5)
    for node, (x, y) in enumerate(place):
        for child in (tree.children_left[node], tree.children_right[node]):
            if child != LEAF:
                ax.plot(*zip((x, y), place[child], strict=True), color=style.QUIET, lw=0.8,
                        zorder=1)  # fmt: skip
    for node, (x, y) in enumerate(place):
        leaf = tree.children_left[node] == LEAF
        if leaf:
            said = _leaf(tree.value[node], classes, decimals)
        else:
            said = f"{features[tree.feature[node]]}\n<= {tree.threshold[node]:.{decimals}f}"
        box = {"boxstyle": "round,pad=0.35", "linewidth": 0.8, "edgecolor": style.QUIET,
               "facecolor": _colour(tree, node, classes) if leaf else "white"}  # fmt: skip
        ax.text(x, y, f"{said}\n{_rows(tree.n_node_samples[node])}", ha="center", va="center",
                fontsize=7.5, color=style.INK, bbox=box, zorder=2)  # fmt: skip
    return ax


def _places(tree: Any) -> np.ndarray:
    """(x, depth) of each node: leaves side by side, a split midway above its two branches."""
    place = np.zeros((len(tree.feature), 2))
    leaves = 0

    def walk(node: int, depth: int) -> None:
        nonlocal leaves
        left, right = tree.children_left[node], tree.children_right[node]
        place[node, 1] = depth
        if left == LEAF:
            place[node, 0] = leaves
            leaves += 1
            return
        walk(left, depth + 1)
        walk(right, depth + 1)
        place[node, 0] = (place[left, 0] + place[right, 0]) / 2

    walk(0, 0)
    return place


def _colour(tree: Any, node: int, classes: Sequence[str] | None) -> Any:
    from matplotlib.colors import to_rgb

    value = np.asarray(tree.value[node], float)
    if classes is not None:
        # Between white, where the class is no surer than chance, and its own colour.
        k, chance = int(value.argmax()), 1 / max(len(value), 2)
        strength, colour = (value[k] - chance) / (1 - chance), style.colour(k)
    else:
        below = tree.value[np.asarray(tree.children_left) == LEAF, 0]
        spread = float(np.ptp(below)) or 1.0
        strength, colour = (value[0] - below.min()) / spread, style.BLUE
    depth = 0.6 * float(np.clip(strength, 0, 1))
    return tuple(1 - depth * (1 - c) for c in to_rgb(colour))


def _leaf(value: np.ndarray, classes: Sequence[str] | None, decimals: int) -> str:
    if classes is None:
        return "value: " + ", ".join(f"{v:.{decimals}f}" for v in value)
    return f"class: {classes[int(np.argmax(value))]}, p = {np.max(value):.{decimals}f}"


def _rows(n: int) -> str:
    return "1 row" if n == 1 else f"{n} rows"


def _sum(w: np.ndarray, b: float, features: Sequence[str], decimals: int, terms: int) -> str:
    largest = np.argsort(-np.abs(w), kind="stable")[:terms]
    said = " ".join(f"{w[j]:+.{decimals}f} {features[j]}" for j in largest)
    more = f" + {len(w) - terms} more" if len(w) > terms else ""
    return f"{said}{more} {b:+.{decimals}f}"
