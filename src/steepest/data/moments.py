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


@np.errstate(over="ignore", invalid="ignore")
def moments(x: np.ndarray, weight: np.ndarray | None = None) -> Moments:
    """The moments of each column of `x` (n, d), in float64, by Chan's update of block moments.

    NaN counts as missing. Rows of weight 0 count for nothing.

    Source: Chan, Golub, LeVeque, "Algorithms for computing the sample variance", 1983, eq. 2.1.

    >>> m = moments(np.array([[1.0, 2.0], [3.0, np.nan]]))
    >>> m.mean.tolist(), m.sd.tolist(), m.missing.tolist()
    ([2.0, 2.0], [1.0, 0.0], [0, 1])
    """
    d = x.shape[1]
    total, mean, m2 = np.zeros(d), np.zeros(d), np.zeros(d)
    low, high = np.full(d, np.inf), np.full(d, -np.inf)
    missing = np.zeros(d, np.int64)
    for rows in blocks(x):
        part = x[rows].astype(np.float64)
        absent = np.isnan(part)
        w = np.ones((len(part), 1)) if weight is None else np.asarray(weight[rows], float)[:, None]
        counted = ~absent & (w > 0)
        missing += np.sum(absent, axis=0)
        low = np.minimum(low, np.min(part, axis=0, initial=np.inf, where=counted))
        high = np.maximum(high, np.max(part, axis=0, initial=-np.inf, where=counted))
        w = w * counted
        part[absent] = 0.0
        part_total = w.sum(axis=0)
        part_mean = (w * part).sum(axis=0) / np.where(part_total > 0, part_total, 1.0)
        # Values that overflow are refused by the caller, who sees them in the extremes.
        part_m2 = (w * np.square(part - part_mean)).sum(axis=0)
        both = total + part_total
        safe = np.where(both > 0, both, 1.0)
        shift = part_mean - mean
        m2 += part_m2 + np.square(shift) * total * part_total / safe
        mean += shift * part_total / safe
        total = both
    sd = np.sqrt(m2 / np.where(total > 0, total, 1.0))
    return Moments(mean, sd, low, high, missing)
