"""Trouble that lies in the rows: scales, copies, leaks; and what nearest neighbours reach."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

LEAK = 0.995
"""How well one column alone must tell the target to be suspected of holding it."""
APART = 0.02
"""By how much it must tell the target better than the median column does."""
NEIGHBOURS = 5
SAMPLE = 1500


@dataclass(frozen=True)
class Scale:
    """How large inputs are: root mean squares of the largest column, and largest over smallest."""

    largest: float
    column: int
    ratio: float
    target: float


def scale(arrays: Any, regression: bool, image: bool) -> Scale:
    """The scale of the encoded inputs, and of the target in regression (else 1)."""
    at = _sample(len(arrays.x), 0)
    x = np.asarray(arrays.x[at], np.float64).reshape(len(at), -1)
    size = np.sqrt(np.mean(x**2, axis=0))
    spread = np.std(x, axis=0)
    varied = spread > 0
    ratio = float(spread.max() / spread[varied].min()) if varied.any() and not image else 1.0
    y = np.asarray(arrays.y, np.float64)
    target = float(np.sqrt(np.mean(y**2))) if regression else 1.0
    return Scale(float(size.max()), int(size.argmax()), ratio, target)


def copies(train: Any, held: Any) -> float:
    """The share of held-out rows that stand in the training rows too, target included.

    0 where rows coincide by chance: where the values of the columns, drawn independently, would
    make more than one row in a hundred the copy of another.
    """
    values = np.asarray(train.x).reshape(len(train.x), -1)[_sample(len(train.x), 0)]
    alike = 0.0
    for column in values.T:
        shares = np.unique(column, return_counts=True)[1] / len(values)
        alike += np.log10(np.sum(shares**2))
    if alike + np.log10(len(values)) > -2:
        return 0.0

    def keys(arrays: Any) -> list[int]:
        x = np.asarray(arrays.x).reshape(len(arrays.x), -1)
        y = np.asarray(arrays.y).reshape(len(arrays.x), -1).astype(x.dtype)
        return [hash(a.tobytes() + b.tobytes()) for a, b in zip(x, y, strict=True)]

    known = set(keys(train))
    return float(np.mean([k in known for k in keys(held)])) if len(held.x) else 0.0


def leak(arrays: Any, regression: bool, seed: int = 0) -> tuple[int, float] | None:
    """The column that alone tells the target of nearly every row, with how well it does; or None.

    Classes: how often the row next to it in the order of that column has the same class (the
    nearest neighbour in one dimension). Numbers: the squared rank correlation. Columns that tell
    it that well do exist by nature, where classes are far apart: it is a suspicion.
    """
    at = _sample(len(arrays.x), seed)
    x = np.asarray(arrays.x[at], np.float64).reshape(len(at), -1)
    y = np.asarray(arrays.y)[at]
    if y.ndim > 1 or len(x) < 40 or (not regression and len(np.unique(y)) < 2):
        return None
    told = np.array([_told(x[:, j], y, regression) for j in range(x.shape[1])])
    best = int(told.argmax())
    # Where classes are far apart most columns tell them, and none of them is suspicious.
    if told[best] < LEAK or (len(told) > 1 and np.median(told) > told[best] - APART):
        return None
    return best, float(told[best])


def _told(column: np.ndarray, y: np.ndarray, regression: bool) -> float:
    if np.ptp(column) == 0:
        return 0.0
    if regression:
        a, b = (np.argsort(np.argsort(v, kind="stable")).astype(float) for v in (column, y))
        return float(np.corrcoef(a, b)[0, 1] ** 2)
    values, place = np.unique(column, return_inverse=True)
    classes, label = np.unique(y, return_inverse=True)
    if len(values) <= len(classes) + 1:
        # A recoding: each value belongs to one class.
        counts = np.zeros((len(values), len(classes)))
        np.add.at(counts, (place, label), 1)
        return float(counts.max(axis=1).sum() / len(y))
    order = np.argsort(column, kind="stable")
    v, c = column[order], label[order]
    left, right = np.diff(v, prepend=-np.inf), np.diff(v, append=np.inf)
    same = c[1:] == c[:-1]
    before = np.concatenate([[False], same])
    after = np.concatenate([same, [False]])
    return float(np.mean(np.where(left <= right, before, after)))


@dataclass(frozen=True)
class Reference:
    """What the nearest neighbours reach on the training rows, each row predicted by others alone:
    accuracy or R^2, and its standard error.
    """

    score: float
    error: float


def reference(arrays: Any, regression: bool, seed: int = 0) -> Reference | None:
    """The score of 5 nearest neighbours on (up to 1,500 of) the training rows, leave-one-out.

    A model whose *training* score stays clearly below it does not use what is in the data. None
    for fewer than 30 rows or several targets.
    """
    at = _sample(len(arrays.x), seed)
    x = np.asarray(arrays.x[at], np.float64).reshape(len(at), -1)
    y = np.asarray(arrays.y)[at]
    if y.ndim > 1 or len(x) < 30:
        return None
    spread = np.std(x, axis=0)
    x = x / np.where(spread > 0, spread, 1)
    squares = np.sum(x**2, axis=1)
    distance = squares[:, None] + squares[None, :] - 2 * x @ x.T
    np.fill_diagonal(distance, np.inf)
    near = np.argpartition(distance, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
    if regression:
        residual = (y - y[near].mean(axis=1)) ** 2
        total = float(np.var(y)) or 1.0
        return Reference(
            float(1 - residual.mean() / total),
            float(residual.std(ddof=1) / np.sqrt(len(y)) / total),
        )
    classes, label = np.unique(y, return_inverse=True)
    votes = np.zeros((len(y), len(classes)))
    for k in range(NEIGHBOURS):
        votes[np.arange(len(y)), label[near[:, k]]] += 1
    right = votes.argmax(axis=1) == label
    score = float(right.mean())
    return Reference(score, float(np.sqrt(max(score * (1 - score), 0.25 / len(y)) / len(y))))


def _sample(n: int, seed: int) -> np.ndarray:
    return np.arange(n) if n <= SAMPLE else np.random.default_rng(seed).permutation(n)[:SAMPLE]
