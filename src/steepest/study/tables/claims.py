"""Verdicts: what runs say of a claim. The only place where one is decided.

A claim of the kind "b is lower than a" is tested on pairs of runs of the same seed. It holds if a
sign-flip test (corrected by Holm where a claim has several parts) and the interval both say so; it
does not hold if they say the opposite, or if the interval shows that any difference is smaller than
`NEGLIGIBLE`; else the runs cannot tell. A claim of several parts holds if all hold, and does not
hold as soon as one of them does not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from steepest.study.statistics import Interval, Paired, holm, paired
from steepest.study.tables.table import FAILS, HOLDS, OPEN, Claim

ALPHA = 0.05
NEGLIGIBLE = 0.01
"""A ratio within 1 % of 1 is no difference that anyone would choose by."""


def lower(
    text: str,
    names: Sequence[str],
    values: Sequence[np.ndarray],
    *,
    what: str = "loss",
    worst: float | None = None,
) -> Claim:
    """The claim that each of `names` has a lower value than the one before, on the same seeds.

    values: positive numbers, one array of runs for each name, NaN for a run that has none (it
    diverged); those count as `worst`. Compared as ratios, by their logarithms.
    """
    logs = [_logs(v, worst) for v in values]
    pairs = [paired(a, b) for a, b in pairwise(logs)]
    corrected = holm([p.p for p in pairs])
    # Of two settings that never got there, neither is known to be the worse one.
    known = [bool(np.isfinite(a).any() or np.isfinite(b).any()) for a, b in pairwise(values)]
    found = [
        _part(p, float(q)) if k else OPEN for p, q, k in zip(pairs, corrected, known, strict=True)
    ]
    verdict = _joined(found)
    # The effect shown is that of the weakest part: the one on which the claim hangs.
    order = {FAILS: 0, OPEN: 1, HOLDS: 2}
    weakest = min(range(len(found)), key=lambda i: (order[found[i]], -_ratio(pairs[i]).value))
    parts = [
        f"{names[i + 1]} has {_times(_ratio(p))} the {what} of {names[i]}"
        for i, p in enumerate(pairs)
    ]
    bad = [
        f"{int(np.isnan(v).sum())} of {len(v)} runs with {n} have no such value (they diverged, or "
        "did not get there) and count as the worst"
        for n, v in zip(names, values, strict=True)
        if np.isnan(v).any()
    ]
    sentence = "; ".join([*parts, *bad]) + "."
    return Claim(text, verdict, _ratio(pairs[weakest]), f"ratio of {what}", sentence)


def more(
    text: str, names: Sequence[str], values: Sequence[np.ndarray], *, what: str, most: float
) -> Claim:
    """The claim that each of `names` needs more than the one before; without a value, `most`."""
    return lower(text, names[::-1], values[::-1], what=what, worst=most)


def happens(text: str, what: str, count: int, runs: int, detail: str = "") -> Claim:
    """The claim that something happens in most runs, by Clopper and Pearson's exact interval."""
    from scipy.special import betaincinv

    low = float(betaincinv(count, runs - count + 1, 0.025)) if count else 0.0
    high = float(betaincinv(count + 1, runs - count, 0.975)) if count < runs else 1.0
    verdict = HOLDS if low > 0.5 else FAILS if high < 0.5 else OPEN
    share = count / runs if runs else math.nan
    sentence = f"{what} in {count} of {runs} runs{'; ' + detail if detail else ''}."
    return Claim(text, verdict, Interval(share, low, high), "share of runs", sentence)


def within(
    text: str, values: np.ndarray, low: float, high: float, *, what: str, unit: str = "ratio"
) -> Claim:
    """The claim that a quantity lies between two bounds: by the t interval of its mean log."""
    from scipy.special import stdtrit

    logs = np.log(values[np.isfinite(values) & (values > 0)])
    if len(logs) < 2:
        nothing = Interval(math.nan, math.nan, math.nan)
        return Claim(text, OPEN, nothing, unit, f"Too few runs have a {what}.")
    half = stdtrit(len(logs) - 1, 0.975) * logs.std(ddof=1) / math.sqrt(len(logs))
    a, b, m = (float(np.exp(v)) for v in (logs.mean() - half, logs.mean() + half, logs.mean()))
    verdict = HOLDS if low <= a and b <= high else FAILS if b < low or a > high else OPEN
    sentence = f"The {what} is {m:.3g} [{a:.3g}, {b:.3g}]; the claim is {low:g} to {high:g}."
    return Claim(text, verdict, Interval(m, a, b), unit, sentence)


def _logs(values: np.ndarray, worst: float | None) -> np.ndarray:
    values = np.asarray(values, np.float64)
    if worst is not None:
        values = np.where(np.isnan(values), worst, values)
    return np.log(np.maximum(values, 1e-300))


def _part(pair: Paired, corrected: float) -> str:
    if not pair.pairs or math.isnan(corrected):
        return OPEN
    d = pair.difference
    if corrected <= ALPHA and d.high < 0:
        # Lower beyond doubt, but by so little that nobody would choose by it.
        return FAILS if d.low > -NEGLIGIBLE else HOLDS
    if corrected <= ALPHA and d.low > 0:
        return FAILS
    if d.low > -NEGLIGIBLE and d.high < NEGLIGIBLE:
        return FAILS
    return OPEN


def _joined(found: Sequence[str]) -> str:
    if FAILS in found:
        return FAILS
    return HOLDS if all(f == HOLDS for f in found) else OPEN


def _ratio(pair: Paired) -> Interval:
    d = pair.difference
    return Interval(*(math.exp(v) if not math.isnan(v) else v for v in (d.value, d.low, d.high)))


def _times(ratio: Interval) -> str:
    return f"{ratio.value:.3g} times [{ratio.low:.3g}, {ratio.high:.3g}]"
