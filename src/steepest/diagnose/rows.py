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


def sparse(arrays: Any) -> bool:
    """Whether most columns have one value, as 0, in four rows of five: counts of words, say.

    Among such columns some happen to have that value in all training rows.
    """
    x = np.asarray(arrays.x).reshape(len(arrays.x), -1)[_sample(len(arrays.x), 0)]
    most = [np.unique(column, return_counts=True)[1].max() for column in x.T]
    return len(most) > 1 and float(np.median(most)) > 0.8 * len(x)


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
    # Rows that share a value are each other's neighbours; the others look to the nearest value.
    counts = np.zeros((len(values), len(classes)))
    np.add.at(counts, (place, label), 1)
    size = counts.sum(axis=1)
    gap = np.diff(values)
    left, right = np.concatenate([[np.inf], gap]), np.concatenate([gap, [np.inf]])
    nearest = np.arange(len(values)) + np.where(left <= right, -1, 1)
    alone = size[place] == 1
    there = counts[nearest[place], label] / size[nearest[place]]
    here = (counts[place, label] - 1) / np.maximum(size[place] - 1, 1)
    return float(np.mean(np.where(alone, there, here)))


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
    near = neighbours(x)
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


def neighbours(x: np.ndarray) -> np.ndarray:
    """The 5 rows nearest to each row, itself left out, columns scaled to deviation 1: (rows, 5)."""
    spread = np.std(x, axis=0)
    x = x / np.where(spread > 0, spread, 1)
    squares = np.sum(x**2, axis=1)
    distance = squares[:, None] + squares[None, :] - 2 * x @ x.T
    np.fill_diagonal(distance, np.inf)
    return np.argpartition(distance, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]


@dataclass(frozen=True)
class Left:
    """What a model leaves in the data: how much its score gains by the errors of neighbours.

    score: accuracy or R^2 of the model. corrected: after adding to each prediction what 5 nearest
    neighbours say about its error. error: the standard error of the difference.
    """

    score: float
    corrected: float
    error: float

    @property
    def gain(self) -> float:
        """corrected - score."""
        return self.corrected - self.score


def left(x: np.ndarray, y: np.ndarray, predicted: np.ndarray, regression: bool) -> Left | None:
    """What the errors of neighbours tell about the errors of a model, on (1,500 of) its rows.

    predicted: numbers, or probabilities, (rows, classes). With r the errors (target, or one-hot
    target, minus prediction) and m the mean of those of 5 nearest neighbours, predictions become
    f + c m with c = <r, m>/<m, m> by least squares, in [0, 1]. Errors of a model that has learned
    what there is are noise, of which neighbours know nothing, so c m is about 0. Other than the
    score of the neighbours alone, this does not hang on how well neighbours do in many columns.

    None for fewer than 30 rows or several targets.
    """
    at = _sample(len(x), 0)
    x = np.asarray(x[at], np.float64).reshape(len(at), -1)
    y, f = np.asarray(y)[at], np.asarray(predicted, np.float64)[at]
    if y.ndim > 1 or len(x) < 30 or not np.isfinite(f).all():
        return None
    f = f.reshape(len(f), -1)
    truth = y[:, None] if regression else np.eye(f.shape[1])[y.astype(int)]
    r = truth - f
    m = r[neighbours(x)].mean(axis=1)
    c = float(np.clip(np.sum(r * m) / max(float(np.sum(m * m)), 1e-300), 0, 1))
    if regression:
        total = float(np.var(y)) or 1.0
        before, after = (np.sum(e**2, axis=1) / total for e in (r, r - c * m))
        score, corrected, gains = 1 - before.mean(), 1 - after.mean(), before - after
    else:
        before, after = ((p.argmax(axis=1) == y).astype(float) for p in (f, f + c * m))
        score, corrected, gains = before.mean(), after.mean(), after - before
    error = max(float(np.std(gains, ddof=1)), 0.5 / len(y) ** 0.5) / len(y) ** 0.5
    return Left(float(score), float(corrected), error)


def _sample(n: int, seed: int) -> np.ndarray:
    return np.arange(n) if n <= SAMPLE else np.random.default_rng(seed).permutation(n)[:SAMPLE]
