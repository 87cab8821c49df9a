"""`learning_rate="auto"`: by curvature where that decides, else by a short sweep over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from steepest.core.errors import UsageError
from steepest.core.record import replace
from steepest.data.dataset import Arrays
from steepest.engine.compiling import precision
from steepest.engine.runs import measure, run, run_keys
from steepest.engine.settings import Settings
from steepest.engine.sharpness import gradients, sample_rows, sharpness, stability, unwrapped
from steepest.models.linear import Linear
from steepest.objectives.curvature import spectrum
from steepest.optimizers.gradient_descent import GradientDescent

RATES = 8
"""Rates of one sweep."""
SEEDS = 2
SHARE = 0.2
"""How much of the run's steps the two sweeps may take together."""
LEAST = 24
"""Steps of a sweep's run at least: fewer tell nothing."""
HIGHEST = 1.0
"""Where the sweep begins for rules that have no stable limit."""
SAMPLE = 2048


@dataclass(frozen=True)
class Tuned:
    """A learning rate and why: `rate`, the stable `limit` (None if the rule has none), `how`.

    best: the best of the rates tried, of which `rate` is what suits a run that is longer than the
    sweep's (see `for_length`).
    rates, losses: what was tried, in order, and the training loss of each seed after `steps` steps,
    (rates, seeds), infinite where it diverged. spent: steps of all runs over those of the run.
    """

    rate: float
    limit: float | None
    how: str
    rates: np.ndarray = field(default_factory=lambda: np.zeros(0))
    losses: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    steps: int = 0
    spent: float = 0.0
    best: float | None = None

    def __str__(self) -> str:
        limit = "" if self.limit is None else f", the stable limit at the start {self.limit:.3g}"
        if not len(self.rates):
            return f"Learning rate {self.rate:.3g}, {self.how}{limit}."
        best = self.rate if self.best is None else self.best
        lower = (
            "the best" if best == self.rate
            else f"{self.rate / best:.2g} of the best, {best:.3g}, since the run is longer,"
        )  # fmt: skip
        return (
            f"Learning rate {self.rate:.3g}, {lower} of {len(self.rates)} tried for {self.steps} "
            f"steps from {self.losses.shape[1]} seeds each{limit}."
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "learning_rate": self.rate, "stable_limit": self.limit, "how": self.how,
            "rates": self.rates.tolist(), "losses": self.losses.tolist(), "steps": self.steps,
            "spent": self.spent, "best": self.best,
        }  # fmt: skip


def limit_at_start(ready: Any, settings: Settings, seed: int = 0) -> float | None:
    """The largest stable learning rate before the first step; None for a rule without one."""
    spec = ready.spec(settings)
    known = stability(spec.optimizer)
    if known is None:
        return None
    with precision(settings.dtype):
        key = jax.random.fold_in(run_keys([seed])[0], 0)
        params, buffers = spec.objective.init(key)
        moment = None
        if known[1]:
            size = _batch_size(ready, settings)
            count = 4 if size == len(ready.train.x) else 32
            moment = gradients(
                spec.objective, params, ready.train, buffers, batch_size=size, count=count
            ).second_moment
        batch = sample_rows(ready.train, SAMPLE)
        found = sharpness(spec.objective, params, batch, buffers, spec.optimizer, None, moment)
    return found.limit if found.limit is not None and math.isfinite(found.limit) else None


def tune_rate(
    ready: Any, settings: Settings, seeds: Sequence[int] | None = None, runs: int = 1
) -> Tuned:
    """The learning rate for `settings` on the rows of `ready` (a `Prepared`).

    Full-batch gradient descent, momentum and Nesterov on a linear model follow from curvature
    alone. Otherwise eight rates a factor sqrt(10) apart, from just below the stable limit at the
    start (twice the limit for networks, whose curvature gives way) are run for a short while from
    two seeds, then eight more around the best, all with the same initial weights and order of
    mini-batches in each seed. A rate counts by the mean logarithm of its training loss plus its
    spread over the seeds; one that diverged once is out. The run itself, being longer, takes a
    lower rate than the best of the sweep (`for_length`). Both sweeps together take at most a fifth
    of the run's steps, or 24 steps each where that is more. The same seed gives the same rate.

    seeds: of the sweep; by default two that the run itself does not use. runs: how many seeds the
        run has, since its budget grows with them.

    Raises UsageError for an optimizer that has no learning rate, for rows that are streamed from
    disk, and where every rate diverged.
    """
    if not isinstance(ready.train, Arrays):
        raise UsageError("learning_rate='auto' needs the rows in memory; give a rate.")
    spec = ready.spec(replace(settings, learning_rate=None))
    rule = unwrapped(spec.optimizer)
    if not hasattr(rule, "learning_rate"):
        raise UsageError(
            f"learning_rate='auto': optimizer {settings.optimizer!r} finds its own step length."
        )
    limit = limit_at_start(ready, settings, settings.seed)
    direct = _from_curvature(ready, settings, spec, rule, limit)
    if direct is not None:
        return direct
    total = steps_of(ready, settings) * runs
    chosen = tuple(range(settings.seed + 1000, settings.seed + 1000 + SEEDS))
    chosen = chosen if seeds is None else tuple(seeds)
    steps = max(LEAST, int(SHARE * total / (2 * RATES * len(chosen))))
    coarse = coarse_rates(ready, settings, limit)
    losses = sweep(ready, settings, coarse, chosen, steps)
    fine = fine_rates(coarse[_best(losses)])
    losses = np.concatenate([losses, sweep(ready, settings, fine, chosen, steps)])
    rates = np.concatenate([coarse, fine])
    if not np.isfinite(losses).all(axis=1).any():
        raise UsageError(
            f"learning_rate='auto': every rate from {rates.min():.2g} to {rates.max():.2g} "
            "diverged; look at the data with `steepest inspect`, or give a rate."
        )
    best = float(rates[_best(losses)])
    return Tuned(
        rate=float(f"{best * for_length(ready, settings, steps):.2g}"),
        limit=limit,
        how="by a sweep",
        rates=rates,
        losses=losses,
        steps=steps,
        spent=steps * len(rates) * len(chosen) / total,
        best=float(f"{best:.2g}"),
    )


def _from_curvature(ready, settings, spec, rule, limit) -> Tuned | None:
    """Where the loss is convex and each step sees it whole, curvature alone decides."""
    size = _batch_size(ready, settings)
    model = spec.objective.model
    known = stability(rule)
    full = size == len(ready.train.x)
    if not (full and isinstance(model, Linear) and limit and known and not known[1]):
        return None
    rate, how = limit / 2, "half of the stable limit, by curvature alone"
    if isinstance(rule, GradientDescent) and type(spec.objective.loss).__name__ == "Squared":
        with precision(settings.dtype):
            params, buffers = spec.objective.init(run_keys([settings.seed])[0])
            ends = spectrum(
                spec.objective, params, sample_rows(ready.train, SAMPLE), buffers, steps=64
            )
        if ends.low > 0:
            rate, how = 2 / (ends.low + ends.high), "the best fixed one, by curvature alone"
    return Tuned(float(f"{rate:.3g}"), limit, how)


def coarse_rates(ready: Any, settings: Settings, limit: float | None) -> np.ndarray:
    """Eight rates a factor sqrt(10) apart, the largest from below the stable limit.

    Twice the limit for networks, whose curvature gives way; 1 for rules without a limit.
    """
    top = HIGHEST
    if limit is not None:
        top = limit if isinstance(ready.spec(settings).objective.model, Linear) else 2 * limit
    # Powers of sqrt(10): a small change of the limit does not move all rates.
    first = math.floor(2 * math.log10(top))
    return np.asarray(10.0 ** ((first - np.arange(RATES)) / 2))


def for_length(ready: Any, settings: Settings, steps: int) -> float:
    """What the best rate of a trial of `steps` steps is multiplied by for the whole run.

    With noisy gradients the best fixed rate of T steps is D/(G sqrt(T)) (Nemirovski et al. 2009,
    eq. 2.21): a short trial favours rates that are too large for the run, which has the time for
    small ones, and whose noise they do not bring down. Full batches have no noise: 1.
    """
    if _batch_size(ready, settings) == len(ready.train.x):
        return 1.0
    return min(1.0, math.sqrt(steps / steps_of(ready, settings)))


def fine_rates(best: float) -> np.ndarray:
    """Eight rates within a factor of ten around the best of the coarse ones."""
    return np.asarray(best * 10.0 ** np.linspace(0.4, -0.6, RATES))


def sweep(
    ready: Any, settings: Settings, rates: np.ndarray, seeds: Sequence[int], steps: int
) -> np.ndarray:
    """The training loss of each rate and seed after `steps` steps, (rates, seeds)."""
    specs = [ready.spec(replace(settings, learning_rate=float(r))) for r in rates]
    runs = run(
        specs, ready.train, None, seeds=seeds, batch_size=settings.batch_size, steps=steps,
        dtype=settings.dtype, every=steps,
    )  # fmt: skip
    at = sample_rows(ready.train, SAMPLE)
    losses = np.asarray(measure(runs, Arrays(at.x, at.y, at.weight), "last")["loss"], float).T
    ended = np.array([[runs.outcome(s, c).text == "diverged" for s in range(len(seeds))]
                      for c in range(len(rates))])  # fmt: skip
    return np.where(ended | ~np.isfinite(losses), np.inf, losses)


def reliability(losses: np.ndarray) -> np.ndarray:
    """Mean logarithm plus spread over seeds, lower is better; infinite where a run diverged."""
    safe = np.where(np.isfinite(losses), losses, np.nan)
    logs = np.log(np.maximum(safe, 1e-12))
    score = logs.mean(axis=1) + logs.std(axis=1)
    return np.asarray(np.where(np.isnan(score), np.inf, score))


def _best(losses: np.ndarray) -> int:
    return int(np.argmin(reliability(losses)))


def _batch_size(ready, settings) -> int:
    n = len(ready.train.x)
    return n if settings.batch_size == "full" else min(int(settings.batch_size), n)


def steps_of(ready: Any, settings: Settings) -> int:
    """How many steps the run of these settings takes."""
    per_epoch = -(-len(ready.train.x) // _batch_size(ready, settings))
    return max(1, math.ceil(settings.epochs * per_epoch))


@dataclass(frozen=True)
class RateMap:
    """How surely each learning rate works: whole runs at each of `rates`, from several seeds.

    losses: training loss at the end, (rates, seeds), infinite where diverged. success: share of
    seeds that end at most at `target`; low, high: Wilson's 95 % interval of it. median: of the
    losses. limit: the largest stable rate at the start. best: the rate with the lowest mean
    logarithm of the loss plus its spread.
    """

    rates: np.ndarray
    losses: np.ndarray
    target: float
    limit: float | None

    @property
    def success(self) -> np.ndarray:
        """See above."""
        return np.mean(self.losses <= self.target, axis=1)

    @property
    def low(self) -> np.ndarray:
        """See above."""
        return wilson(self.success, self.losses.shape[1])[0]

    @property
    def high(self) -> np.ndarray:
        """See above."""
        return wilson(self.success, self.losses.shape[1])[1]

    @property
    def median(self) -> np.ndarray:
        """See above."""
        return np.median(self.losses, axis=1)

    @property
    def diverged(self) -> np.ndarray:
        """How many seeds diverged."""
        return np.sum(np.isinf(self.losses), axis=1)

    @property
    def best(self) -> float:
        """See above."""
        return float(self.rates[_best(self.losses)])

    def __str__(self) -> str:
        limit = "" if self.limit is None else f" The stable limit at the start is {self.limit:.3g}."
        return (
            f"Best: {self.best:.3g}. A run succeeds when its training loss ends at "
            f"{self.target:.3g} or below, twice that of the best rate.{limit}"
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "rates": self.rates.tolist(), "success": self.success.tolist(),
            "low": self.low.tolist(), "high": self.high.tolist(),
            "losses": self.losses.tolist(), "target": self.target, "best": self.best,
            "stable_limit": self.limit, "diverged": self.diverged.tolist(),
        }  # fmt: skip


def wilson(share: np.ndarray, n: int, z: float = 1.96) -> tuple[np.ndarray, np.ndarray]:
    """The 95 % interval of a probability from a share of n trials (Wilson 1927).

    >>> low, high = wilson(np.array([1.0]), 5)
    >>> low.round(3).tolist(), high.round(3).tolist()
    ([0.566], [1.0])
    """
    share = np.asarray(share, float)
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return np.maximum(middle - half, 0), np.minimum(middle + half, 1)


def rate_map(
    ready: Any, settings: Settings, *, rates: int = 13, seeds: Sequence[int] = range(5),
    target: float | None = None,
) -> RateMap:  # fmt: skip
    """Run `settings` to their end at `rates` learning rates, a factor 2 apart, from each seed.

    All runs are one program and share, seed by seed, initial weights and order of mini-batches. The
    rates end at eight times the stable limit at the start, since networks bear more than that and
    the map is to show where they fail (at 1 for rules without a limit). `target`: the
    loss that counts as success; by default twice the median loss of the best rate.
    """
    if not isinstance(ready.train, Arrays):
        raise UsageError("the map of learning rates needs the rows in memory.")
    limit = limit_at_start(ready, settings, settings.seed)
    top = HIGHEST if limit is None else 8 * limit
    tried = 2.0 ** (math.floor(math.log2(top)) - np.arange(rates))[::-1]
    total = steps_of(ready, settings)
    losses = sweep(ready, settings, tried, tuple(seeds), total)
    if target is None:
        middle = np.median(losses[_best(losses)])
        target = float(2 * middle)
    return RateMap(tried, losses, target, limit)
