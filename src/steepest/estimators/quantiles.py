"""`Quantiles`: features as normal scores, by a monotone map that can be undone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtri

from steepest.core.errors import DataError

KNOTS = 1000
"""Points of the map of each feature at most, as scikit-learn's `QuantileTransformer` has."""


@dataclass(frozen=True)
class Quantiles:
    """x -> Phi^-1(F(x)), feature by feature: monotone, so that trees see the same order of rows.

    F is the mid-distribution function of the training rows, F(v) = P(x < v) + P(x = v) / 2, linear
    between `KNOTS` of its points: ties (the zeros of counts) get the score of their middle, and
    outliers none that is out of reach. Values outside of the training rows get that of the extreme.
    `values`, `scores`: the points of all features one after another; `start`: where each begins.
    """

    values: np.ndarray
    scores: np.ndarray
    start: np.ndarray

    @classmethod
    def fit(cls, X: np.ndarray, weight: np.ndarray) -> Quantiles:
        """From rows X (rows, features) that count by `weight` (rows,)."""
        values, scores, start = [], [], [0]
        share = weight / weight.sum()
        for j in range(X.shape[1]):
            found, places = np.unique(X[weight > 0, j], return_inverse=True)
            mass = np.bincount(places, share[weight > 0], len(found))
            middle = np.cumsum(mass) - mass / 2
            if len(found) > KNOTS:
                # Knots at equal shares of the rows, both ends among them.
                wanted = np.linspace(middle[0], middle[-1], KNOTS)
                kept = np.unique(np.searchsorted(middle, wanted).clip(0, len(found) - 1))
                found, middle = found[kept], middle[kept]
            values.append(found)
            scores.append(ndtri(np.clip(middle, 1e-7, 1 - 1e-7)))
            start.append(start[-1] + len(found))
        return cls(
            np.concatenate(values).astype(np.float64),
            np.concatenate(scores),
            np.asarray(start, np.int64),
        )

    @property
    def features(self) -> int:
        """How many features there are."""
        return len(self.start) - 1

    def _of(self, j: int) -> tuple[np.ndarray, np.ndarray]:
        here = slice(int(self.start[j]), int(self.start[j + 1]))
        return self.values[here], self.scores[here]

    def __call__(self, X: np.ndarray, dtype: Any) -> np.ndarray:
        """The scores of rows X, as `dtype`."""
        if X.shape[1] != self.features:
            raise DataError(f"X has {X.shape[1]} features, fitted were {self.features}.")
        out = np.empty(X.shape, dtype)
        for j in range(X.shape[1]):
            out[:, j] = np.interp(X[:, j], *self._of(j))
        return out

    def undo(self, score: float, feature: int) -> float:
        """The value of that feature that has this score."""
        values, scores = self._of(feature)
        return float(np.interp(score, scores, values))
