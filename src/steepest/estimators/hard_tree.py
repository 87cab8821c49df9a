"""`HardTree`: a learned tree as arrays of nodes, in the units of the data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

LEAF = -1
"""What `children_left`, `children_right` hold at a leaf, as in scikit-learn's trees."""


@dataclass(frozen=True)
class HardTree:
    """Nodes in the order of a walk from the root, left before right; a row goes left if x <= t.

    The names are those of scikit-learn's `tree_`: `children_left`, `children_right` (-1 at leaves),
    `feature` and `threshold` (-2 at leaves), `value` (nodes, outputs), which holds probabilities or
    predictions, above leaves the mean of what is below; `n_node_samples` and
    `weighted_n_node_samples`: the training rows that pass, and their weight.
    """

    children_left: np.ndarray
    children_right: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    value: np.ndarray
    n_node_samples: np.ndarray
    weighted_n_node_samples: np.ndarray

    @property
    def node_count(self) -> int:
        """Nodes, leaves among them."""
        return len(self.feature)

    @property
    def n_leaves(self) -> int:
        """Leaves."""
        return int(np.sum(self.children_left == LEAF))

    @property
    def max_depth(self) -> int:
        """Splits on the longest path."""
        depth = np.zeros(self.node_count, int)
        for i in range(self.node_count):
            if self.children_left[i] != LEAF:
                depth[[self.children_left[i], self.children_right[i]]] = depth[i] + 1
        return int(depth.max())

    def apply(self, X: np.ndarray) -> np.ndarray:
        """The leaf of each row, (rows,), as the number of its node."""
        at = np.zeros(len(X), np.int64)
        rows = np.flatnonzero(self.children_left[at] != LEAF)
        while len(rows):
            node = at[rows]
            left = X[rows, self.feature[node]] <= self.threshold[node]
            at[rows] = np.where(left, self.children_left[node], self.children_right[node])
            rows = rows[self.children_left[at[rows]] != LEAF]
        return at

    def predict(self, X: np.ndarray) -> np.ndarray:
        """The value of the leaf of each row, (rows, outputs)."""
        return self.value[self.apply(X)]


def grown(
    feature: np.ndarray,
    threshold: np.ndarray,
    value: np.ndarray,
    x: np.ndarray,
    weight: np.ndarray,
    undo: Callable[[float, int], float],
) -> HardTree:
    """The tree that training rows x (rows, features) make of a complete one.

    `feature`, `threshold` (nodes,) level by level, `value` (leaves, outputs); `undo(score, j)` is
    the value of feature j in the data. A split that all rows pass on one side is no split and is
    left out, and with it leaves that no row has ever taught anything. Thresholds stand midway
    between the rows of the node on both sides, as scikit-learn's: no training row changes sides,
    and new rows are parted with the largest margin.
    """
    nodes: dict[str, list[Any]] = {
        n: [] for n in ("left", "right", "feature", "threshold", "value", "rows", "weight")
    }

    def grow(node: int, rows: np.ndarray) -> int:
        while node < len(feature):
            j = int(feature[node])
            left = x[rows, j] <= threshold[node]
            if left.any() and not left.all():
                break
            node = 2 * node + (1 if left.any() else 2)
        here = len(nodes["left"])
        split = node < len(feature)
        for name in nodes:
            nodes[name].append(None)
        nodes["rows"][here] = len(rows)
        nodes["weight"][here] = total = float(weight[rows].sum())
        if not split:
            nodes["left"][here] = nodes["right"][here] = LEAF
            nodes["feature"][here], nodes["threshold"][here] = -2, -2.0
            nodes["value"][here] = value[node - len(feature)]
            return here
        low = undo(float(x[rows[left], j].max()), j)
        high = undo(float(x[rows[~left], j].min()), j)
        # As scikit-learn does where the middle of two neighbouring numbers rounds to the upper.
        middle = low / 2 + high / 2
        nodes["feature"][here] = j
        nodes["threshold"][here] = middle if low <= middle < high else low
        a, b = grow(2 * node + 1, rows[left]), grow(2 * node + 2, rows[~left])
        nodes["left"][here], nodes["right"][here] = a, b
        nodes["value"][here] = (
            nodes["value"][a] * nodes["weight"][a] + nodes["value"][b] * nodes["weight"][b]
        ) / total
        return here

    grow(0, np.flatnonzero(weight > 0))
    return HardTree(
        np.asarray(nodes["left"], np.int64),
        np.asarray(nodes["right"], np.int64),
        np.asarray(nodes["feature"], np.int64),
        np.asarray(nodes["threshold"], np.float64),
        np.stack(nodes["value"]).astype(np.float64),
        np.asarray(nodes["rows"], np.int64),
        np.asarray(nodes["weight"], np.float64),
    )
