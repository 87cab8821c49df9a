"""Comparing cells over seeds: intervals, paired differences, corrected tests, effects, power.

Values come as arrays (cells, runs), in which a column is the same seed (and fold) for all cells:
runs of a column share initial weights and orders, so differences between cells are taken within
columns. A run that diverged has no value that could be averaged: it is NaN here, counts as worse
than every other, and is reported by number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

DRAWS = 2000
LEVEL = 0.95
EXACT = 14
"""Up to so many pairs the sign-flip test goes through all 2^n signs."""


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval; NaN where nothing can be said."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4g} [{self.low:.4g}, {self.high:.4g}]"


def resamples(runs: int, seed: int = 0, draws: int = DRAWS) -> np.ndarray:
    """Positions (draws, runs) drawn with replacement; the same for all cells of a study."""
    return np.random.default_rng([seed, runs]).integers(runs, size=(draws, runs))


def median_interval(values: np.ndarray, draws: np.ndarray, level: float = LEVEL) -> Interval:
    """The median over runs with its bootstrap percentile interval (Efron and Tibshirani 1993, 13).

    A diverged run is taken as infinitely bad, so the median stands until half of them diverge.
    """
    values = np.where(np.isnan(values), np.inf, values)
    return _percentiles(float(_median(values)), _median(values[draws]), level)


def mean_interval(values: np.ndarray, draws: np.ndarray, level: float = LEVEL) -> Interval:
    """The mean over the runs that have a value, with its bootstrap percentile interval."""
    known = values[~np.isnan(values)]
    if not len(known):
        return Interval(math.nan, math.nan, math.nan)
    drawn = known[draws % len(known)] if len(known) < len(values) else known[draws]
    return _percentiles(float(known.mean()), drawn.mean(axis=1), level)


def _median(values: np.ndarray) -> np.ndarray:
    # Between a number and infinity lies infinity, without the warning of inf - inf.
    ordered = np.sort(values, axis=-1)
    n = values.shape[-1]
    low, high = ordered[..., (n - 1) // 2], ordered[..., n // 2]
    return np.where(low == high, low, np.where(np.isinf(high), high, 0.5 * (low + high)))


def _percentiles(value: float, drawn: np.ndarray, level: float) -> Interval:
    tail = (1 - level) / 2
    ordered = np.sort(drawn)
    low = ordered[round(tail * (len(ordered) - 1))]
    high = ordered[round((1 - tail) * (len(ordered) - 1))]
    return Interval(value, float(low), float(high))


@dataclass(frozen=True)
class Paired:
    """How b compares with a on the same seeds: mean of b - a, its interval, and a test.

    pairs:     runs in which both have a value. diverged: (of a, of b).
    p:         two-sided sign-flip permutation test of mean 0; `corrected` by Holm among its family.
    share:     in what share of all pairs b is lower, a diverged run being the higher one.
    deviation: standard deviation of the differences.
    """

    difference: Interval
    p: float
    pairs: int
    share: float
    deviation: float
    diverged: tuple[int, int]
    corrected: float = math.nan

    @property
    def clear(self) -> bool:
        """Whether the corrected test tells the two apart at 5 %."""
        p = self.p if math.isnan(self.corrected) else self.corrected
        return p <= 0.05


def paired(a: np.ndarray, b: np.ndarray, seed: int = 0, level: float = LEVEL) -> Paired:
    """Compare b with a, run by run.

    >>> result = paired(np.array([1.0, 2, 3, 4, 5, 6]), np.array([0.5, 1.4, 2.6, 3.5, 4.4, 5.4]))
    >>> round(result.difference.value, 3), result.p, result.clear
    (-0.533, 0.03125, True)
    """
    both = ~np.isnan(a) & ~np.isnan(b)
    bad = (int(np.isnan(a).sum()), int(np.isnan(b).sum()))
    lower = np.where(np.isnan(b), np.inf, b) < np.where(np.isnan(a), np.inf, a)
    share = float(lower.mean()) if len(lower) else math.nan
    d = (b - a)[both]
    n = len(d)
    if n == 0:
        nothing = Interval(math.nan, math.nan, math.nan)
        return Paired(nothing, math.nan, 0, share, math.nan, bad)
    deviation = float(d.std(ddof=1)) if n > 1 else math.nan
    interval = _t_interval(d, level)
    return Paired(interval, sign_flip(d, seed), n, share, deviation, bad)


def _t_interval(d: np.ndarray, level: float) -> Interval:
    mean, n = float(d.mean()), len(d)
    if n < 2:
        return Interval(mean, math.nan, math.nan)
    from scipy.special import stdtrit  # the quantile alone; scipy.stats takes a second to load

    half = float(stdtrit(n - 1, 0.5 + level / 2)) * float(d.std(ddof=1)) / math.sqrt(n)
    return Interval(mean, mean - half, mean + half)


def sign_flip(d: np.ndarray, seed: int = 0, draws: int = 10_000) -> float:
    """Two-sided p value of `mean(d) = 0` if signs are exchangeable (Fisher 1935, section 21).

    Exact for at most 14 differences, by random signs above; never 0.
    """
    n = len(d)
    if n == 0:
        return math.nan
    observed = abs(d.sum())
    slack = 1e-12 * float(np.abs(d).sum())
    if n <= EXACT:
        bits = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
        sums = np.abs((1 - 2 * bits) @ d)
        return float(np.mean(sums >= observed - slack))
    signs = np.random.default_rng([seed, n]).choice([-1.0, 1.0], size=(draws, n))
    return float((1 + np.sum(np.abs(signs @ d) >= observed - slack)) / (draws + 1))


def holm(p: Sequence[float]) -> np.ndarray:
    """Holm's step-down correction: the chance of any false finding in the family stays below.

    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    values = np.asarray(p, np.float64)
    known = np.flatnonzero(~np.isnan(values))
    order = known[np.argsort(values[known], kind="stable")]
    out = np.full(len(values), np.nan)
    scaled = values[order] * (len(order) - np.arange(len(order)))
    out[order] = np.minimum(1.0, np.maximum.accumulate(scaled))
    return out


def seeds_needed(
    difference: float, deviation: float, alpha: float = 0.05, power: float = 0.8
) -> int | None:
    """Seeds for a paired t test to see `difference` with this power; None for more than a million.

    n >= ((z_{1 - alpha/2} + z_power) deviation / difference)^2, then corrected for the t quantile.

    >>> seeds_needed(0.5, 1.0)
    34
    """
    if not (math.isfinite(difference) and math.isfinite(deviation)) or difference == 0:
        return None
    if deviation == 0:
        return 2
    from scipy.special import ndtri, stdtrit

    ratio = abs(deviation / difference)
    z = ndtri(1 - alpha / 2) + ndtri(power)
    n = max(2.0, math.ceil((z * ratio) ** 2))
    for _ in range(20):
        if n > 1e6:
            return None
        t = stdtrit(n - 1, 1 - alpha / 2) + stdtrit(n - 1, power)
        wanted = max(2, math.ceil((float(t) * ratio) ** 2))
        if wanted == n:
            break
        n = max(wanted, n) if wanted > n else n - 1 if wanted < n - 1 else wanted
    return int(n)


def main_effects(
    levels: dict[str, list[Any]], values: np.ndarray, draws: np.ndarray
) -> list[tuple[str, Any, Interval]]:
    """For each level of each factor: mean over its cells minus the mean over all cells.

    Cell means are over runs with a value; intervals come from resampling runs (columns).
    """
    out = []
    drawn = _cell_means(values[:, draws])
    means = _cell_means(values)
    for name, of in levels.items():
        for level in dict.fromkeys(of):
            chosen = np.array([x == level for x in of])
            known = means[chosen][~np.isnan(means[chosen])]
            # A level at which every run diverged has no effect that could be measured.
            if not len(known):
                out.append((name, level, Interval(math.nan, math.nan, math.nan)))
                continue
            value = float(known.mean() - np.nanmean(means))
            shifts = _mean(drawn[chosen]) - _mean(drawn)
            out.append((name, level, _percentiles(value, shifts, LEVEL)))
    return out


def interactions(levels: dict[str, list[Any]], values: np.ndarray) -> list[tuple[str, str, float]]:
    """For each pair of factors the share of the variance between cells that is theirs jointly.

    Sums of squares of a two-way table of cell means: what the sum of both main effects leaves.
    """
    means = _cell_means(values)
    names = [n for n, of in levels.items() if len(set(map(repr, of))) > 1]
    known = means[~np.isnan(means)]
    total = float(((known - known.mean()) ** 2).sum()) if len(known) else 0.0
    out = []
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            rows = {v: k for k, v in enumerate(dict.fromkeys(map(repr, levels[a])))}
            cols = {v: k for k, v in enumerate(dict.fromkeys(map(repr, levels[b])))}
            table = np.full((len(rows), len(cols)), np.nan)
            count = np.zeros_like(table)
            sums = np.zeros_like(table)
            for x, y, m in zip(levels[a], levels[b], means, strict=True):
                if not math.isnan(m):
                    sums[rows[repr(x)], cols[repr(y)]] += m
                    count[rows[repr(x)], cols[repr(y)]] += 1
            filled = count > 0
            table[filled] = sums[filled] / count[filled]
            if not filled.all() or total == 0:
                out.append((a, b, math.nan))
                continue
            rest = table - table.mean(1, keepdims=True) - table.mean(0) + table.mean()
            out.append((a, b, float((rest**2 * count).sum() / total)))
    return out


def _mean(a: np.ndarray) -> np.ndarray:
    known = ~np.isnan(a)
    return np.where(known, a, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)


def _cell_means(values: np.ndarray) -> np.ndarray:
    known = ~np.isnan(values)
    count = known.sum(axis=-1)
    total = np.where(known, values, 0).sum(axis=-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
