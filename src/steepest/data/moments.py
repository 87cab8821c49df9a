"""Mean and standard deviation in one pass over blocks of rows, weighted, missing values skipped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

BLOCK = 1 << 18  # numbers a block: 2 MB of float64, which stays in the cache


class Moments(NamedTuple):
    """Per feature: weighted mean and population standard deviation, extremes, missing count."""

    mean: np.ndarray
    sd: np.ndarray
    low: np.ndarray
    high: np.ndarray
    missing: np.ndarray

    @property
    def constant(self) -> np.ndarray:
        """Whether a feature has at most one distinct value; rounding plays no part in this."""
        return ~(self.low < self.high)


def blocks(x: np.ndarray) -> Iterator[slice]:
    """Slices of rows of about `BLOCK` numbers each."""
    rows = max(1, BLOCK // max(1, int(np.prod(x.shape[1:]))))
    for start in range(0, len(x), rows):
        yield slice(start, start + rows)


class Sums:
    """What `moments` adds up over blocks of rows of `d` columns; more rows may come any time."""

    def __init__(self, d: int):
        self.total, self.mean, self.m2 = np.zeros(d), np.zeros(d), np.zeros(d)
        self.low, self.high = np.full(d, np.inf), np.full(d, -np.inf)
        self.missing = np.zeros(d, np.int64)

    @np.errstate(over="ignore", invalid="ignore")
    def add(self, x: np.ndarray, weight: np.ndarray | None = None) -> None:
        """Rows (n, d) more, by Chan's update; NaN counts as missing."""
        for rows in blocks(x):
            part = x[rows].astype(np.float64)
            absent = np.isnan(part)
            w = np.ones((len(part), 1))
            if weight is not None:
                w = np.asarray(weight[rows], float)[:, None]
            counted = ~absent & (w > 0)
            self.missing += np.sum(absent, axis=0)
            low = np.min(part, axis=0, initial=np.inf, where=counted)
            high = np.max(part, axis=0, initial=-np.inf, where=counted)
            self.low, self.high = np.minimum(self.low, low), np.maximum(self.high, high)
            w = w * counted
            part[absent] = 0.0
            part_total = w.sum(axis=0)
            part_mean = (w * part).sum(axis=0) / np.where(part_total > 0, part_total, 1.0)
            # Values that overflow are refused by the caller, who sees them in the extremes.
            part_m2 = (w * np.square(part - part_mean)).sum(axis=0)
            both = self.total + part_total
            safe = np.where(both > 0, both, 1.0)
            shift = part_mean - self.mean
            self.m2 += part_m2 + np.square(shift) * self.total * part_total / safe
            self.mean += shift * part_total / safe
            self.total = both

    @property
    def moments(self) -> Moments:
        """The moments of all rows so far."""
        with np.errstate(over="ignore", invalid="ignore"):
            sd = np.sqrt(self.m2 / np.where(self.total > 0, self.total, 1.0))
        return Moments(self.mean.copy(), sd, self.low, self.high, self.missing)


def moments(x: np.ndarray, weight: np.ndarray | None = None) -> Moments:
    """The moments of each column of `x` (n, d), in float64, by Chan's update of block moments.

    NaN counts as missing. Rows of weight 0 count for nothing.

    Source: Chan, Golub, LeVeque, "Algorithms for computing the sample variance", 1983, eq. 2.1.

    >>> m = moments(np.array([[1.0, 2.0], [3.0, np.nan]]))
    >>> m.mean.tolist(), m.sd.tolist(), m.missing.tolist()
    ([2.0, 2.0], [1.0, 0.0], [0, 1])
    """
    sums = Sums(x.shape[1])
    sums.add(x, weight)
    return sums.moments
