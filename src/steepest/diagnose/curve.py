"""Reading loss curves: falling or flat, steady or jumping, and where validation turns."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Curve:
    """The loss of one run along its way, at `at` (epochs, or steps), from `start` to `end`.

    start: the first loss recorded. end: the median of the last fifth. lowest: smoothed.
    falling: which share of the whole decrease comes in a quarter of the run, at the pace of its
        second half, one standard error taken off: near 0 for a run that has settled, 0.25 for one
        that falls steadily.
    jumps: median change from one point to the next in the second half, up or down, over the loss.
    by_epoch: whether a point is the mean of an epoch; else it has the noise of few mini-batches.
    period: after how many points the second half repeats its ups and downs: 2 beyond the stable
        limit of gradient descent, longer with momentum; None where it does not.
    amplitude: half the height of these ups and downs, nine points in ten within them.
    """

    at: np.ndarray
    loss: np.ndarray
    start: float
    by_epoch: bool = True

    @property
    def end(self) -> float:
        """The median of the last fifth."""
        return float(np.median(_tail(self.loss, 0.2)))

    @property
    def lowest(self) -> float:
        """The lowest median of three neighbours."""
        return float(np.min(smooth(self.loss)))

    @property
    def drop(self) -> float:
        """Which share of the first loss is gone at the end; negative where it grew."""
        return float((self.start - self.end) / max(abs(self.start), 1e-300))

    @property
    def falling(self) -> float:
        """See above."""
        return self.fall(1.0)

    def fall(self, errors: float, most: float = math.inf) -> float:
        """`falling` with so many standard errors taken off; 0 for curves of fewer than 8 points.

        most: where the decrease begins at most. A run that starts far above the loss of knowing
        nothing comes down to that soon, and is not the nearer to its end for it.
        """
        tail = _tail(self.loss, 0.5)
        n = len(tail)
        if len(self.loss) < 8:
            return 0.0
        fall = abs(min(steady_slope(tail, errors), 0.0)) * n / 2
        whole = min(self.start, most) - float(tail[-max(n // 4, 1) :].mean())
        return fall / max(whole, fall, 1e-300)

    @property
    def jumps(self) -> float:
        """See above."""
        tail = _tail(self.loss, 0.5)
        if len(tail) < 3:
            return 0.0
        return float(np.median(np.abs(np.diff(tail))) / max(abs(float(np.median(tail))), 1e-300))

    @property
    def period(self) -> int | None:
        """See above."""
        tail = _tail(self.loss, 0.5)
        n = len(tail)
        if n < 6:
            return None
        change = np.diff(tail)
        if np.all(change != 0) and np.mean(change[1:] * change[:-1] < 0) > 0.9:
            return 2
        wave = without_trend(tail)
        power = float(wave @ wave)
        if not power > (1e-6 * n * float(np.median(np.abs(tail)))) ** 2:
            return None
        # The first lag at which the wave agrees with itself better than at the lags beside it.
        agree = [float(wave[k:] @ wave[: n - k]) / power for k in range(n // 3 + 2)]
        for k in range(2, n // 3 + 1):
            if agree[k] > 0.5 and agree[k] >= agree[k - 1] and agree[k] >= agree[k + 1]:
                return k
        return None

    @property
    def amplitude(self) -> float:
        """See above."""
        tail = without_trend(_tail(self.loss, 0.5))
        return float(np.subtract(*np.quantile(tail, [0.9, 0.1])) / 2) if len(tail) > 2 else 0.0


def without_trend(values: np.ndarray) -> np.ndarray:
    """`values` less the straight line through them."""
    t = np.arange(len(values)) - (len(values) - 1) / 2
    return values - values.mean() - t * (t @ values) / max(float(t @ t), 1e-300)


def curve(steps: dict[str, Any], epochs: dict[str, Any], first: int = 1) -> Curve | None:
    """The training loss of one run, by epochs where there are at least 8, else by steps in bins.

    `first`: over how many steps the loss at the start is averaged, where batches are small. None
    where less than three finite numbers were recorded.
    """
    by_step = np.asarray(steps.get("loss", ()), float)
    at_step = np.asarray(steps.get("epoch", np.arange(len(by_step))), float)
    keep = np.isfinite(by_step)
    by_step, at_step = by_step[keep], at_step[: len(keep)][keep]
    by_epoch = np.asarray(epochs.get("train_loss", ()), float)
    known = np.isfinite(by_epoch)
    start = float(np.mean(by_step[:first])) if len(by_step) else float("nan")
    if known.sum() >= 8:
        x = np.asarray(epochs["epoch"], float)[known]
        y = by_epoch[known]
        return Curve(x, y, start if np.isfinite(start) else float(y[0]))
    if len(by_step) < 3:
        return None
    bins = min(len(by_step), 40)
    cuts = np.linspace(0, len(by_step), bins + 1).astype(int)
    pairs = list(itertools.pairwise(cuts))
    return Curve(
        np.array([at_step[a:b].mean() for a, b in pairs]),
        np.array([by_step[a:b].mean() for a, b in pairs]),
        start,
        by_epoch=False,
    )


@dataclass(frozen=True)
class Turn:
    """Where validation was best, and how it went on: epochs, losses, and training loss at both."""

    epoch: float
    lowest: float
    final: float
    train_then: float
    train_now: float

    @property
    def rise(self) -> float:
        """By which share of its lowest value the validation loss rose after the turn."""
        return (self.final - self.lowest) / max(abs(self.lowest), 1e-300)


def turn(epochs: dict[str, Any]) -> Turn | None:
    """The turn of the validation loss; None without validation or before five epochs."""
    held = np.asarray(epochs.get("validation_loss", ()), float)
    fitted = np.asarray(epochs.get("train_loss", ()), float)
    known = np.isfinite(held) & np.isfinite(fitted[: len(held)])
    if known.sum() < 5:
        return None
    held, fitted = smooth(held[known]), smooth(fitted[known])
    best = int(np.argmin(held))
    return Turn(
        float(np.asarray(epochs["epoch"], float)[known][best]),
        float(held[best]),
        float(np.median(_tail(held, 0.1))),
        float(fitted[best]),
        float(np.median(_tail(fitted, 0.1))),
    )


def smooth(values: np.ndarray) -> np.ndarray:
    """The running median of three, ends kept.

    >>> smooth(np.array([1.0, 9.0, 2.0, 3.0])).tolist()
    [1.0, 2.0, 3.0, 3.0]
    """
    values = np.asarray(values, float)
    if len(values) < 3:
        return values
    inner = np.median(np.stack([values[:-2], values[1:-1], values[2:]]), axis=0)
    return np.concatenate([values[:1], inner, values[-1:]])


def steady_slope(values: np.ndarray, errors: float = 1.0) -> float:
    """The slope of a noisy series a point, `errors` standard errors nearer to 0, or 0.

    Of the slopes between all pairs of points, sorted, those are looked at whose ranks are within so
    many standard errors of the middle one (Sen 1968), and the nearest to 0 is taken. A few spikes,
    as steps on mini-batches make them, move a straight line by least squares and hardly these.

    >>> steady_slope(np.array([8.0, 7.0, 6.0, 50.0, 4.0, 3.0, 2.0, 1.0]))
    -1.0
    """
    n = len(values)
    if n < 3:
        return 0.0
    i, j = np.triu_indices(n, 1)
    slopes = np.sort((values[j] - values[i]) / (j - i))
    width = errors * np.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    low, high = (len(slopes) - 1 - width) / 2, (len(slopes) - 1 + width) / 2
    low, high = np.interp([low, high], np.arange(len(slopes)), slopes)
    return float(low if low > 0 else high if high < 0 else 0.0)


def _tail(values: np.ndarray, share: float) -> np.ndarray:
    return values[-max(1, round(len(values) * share)) :]
